"""What the cache was good for, by tenant."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from msgspec import Struct

_MOST_TENANTS: Final = 1_000


class Counters(Struct):
    """One tenant's figures since the start of the process.

    Attributes:
        shared: Answered along with somebody else's request.
        stored: Answers that were kept; `unfit` were not: they had not ended well, or were too large.
        saved: What hits would have cost, in nano-dollars.
        guarded: Similar questions that the guard told apart.
        semantic_hits: Similar questions whose answer was given, or would have been (shadow, doubt).
        scored: Would-be hits whose answer was compared with the one that was then asked for; `agreed` were the same.
    """

    hits: int = 0
    stale: int = 0
    shared: int = 0
    misses: int = 0
    stored: int = 0
    unfit: int = 0
    saved: int = 0
    embedded: int = 0
    embeddings_asked: int = 0
    semantic: int = 0
    semantic_lookups: int = 0
    semantic_hits: int = 0
    guarded: int = 0
    scored: int = 0
    agreed: int = 0

    @property
    def hit_rate(self) -> float | None:
        """The share of look-ups that found an answer."""
        found = self.hits + self.stale + self.semantic
        return _share(found, found + self.misses)

    @property
    def semantic_hit_rate(self) -> float | None:
        """The share of similar-question look-ups that found, or would have found, an answer."""
        return _share(self.semantic_hits, self.semantic_lookups)

    @property
    def precision(self) -> float | None:
        """The share of compared answers that were the same; a hit rate says nothing without it."""
        return _share(self.agreed, self.scored)


class Books:
    """The counters of every tenant; those of the least recently seen are forgotten when there are too many."""

    def __init__(self) -> None:
        self._by_tenant: OrderedDict[str, Counters] = OrderedDict()

    def of(self, tenant: str) -> Counters:
        """Give a tenant's counters."""
        found = self._by_tenant.get(tenant)
        if found is None:
            found = self._by_tenant[tenant] = Counters()
            if len(self._by_tenant) > _MOST_TENANTS:
                self._by_tenant.popitem(last=False)
        return found


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None
