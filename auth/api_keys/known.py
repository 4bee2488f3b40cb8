"""The door's memory: keys that were checked lately, and how fast each asks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from ...core.types import Principal
from ...store.models import ApiKeyRow
from .limits import Limits
from .schemas import KnownKey

FRESH_S: Final = 2.0
"""Seconds that a checked key is not looked up again: what another process revoked is dead after them."""
MOST: Final = 10_000


class Known:
    """Keys by the hash of their secret, the one used longest ago forgotten first.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._keys: OrderedDict[str, tuple[KnownKey, float]] = OrderedDict()
        self._limits: OrderedDict[str, Limits] = OrderedDict()
        self.forgotten = 0
        """Counts up whenever a key is let go: what was read before may be older than that."""

    def get(self, digest: str) -> KnownKey | None:
        """Return a key while it is fresh.

        Of many that ask when it no longer is, one is told to look; the others go on with it until that is done.
        """
        found = self._keys.get(digest)
        if found is None:
            return None
        key, until = found
        now = self._clock()
        if now >= until:
            self._keys[digest] = (key, now + FRESH_S)
            return None
        return key

    def remember(self, row: ApiKeyRow, *, forgotten: int) -> KnownKey:
        """Keep what was read, unless a key was let go since `forgotten` was.

        A key's buckets outlive it, so that reading it again does not fill them.
        """
        key = KnownKey(
            id=row.id,
            principal=Principal(row.owner_id, row.tenant_id, client_id=row.id, scopes=frozenset(row.scopes)),
            models=None if row.models is None else frozenset(row.models),
            limits=self._buckets(row),
            expires_at=None if row.expires_at is None else row.expires_at.timestamp(),
        )
        if forgotten == self.forgotten:
            self._keys[row.digest] = (key, self._clock() + FRESH_S)
            self._keys.move_to_end(row.digest)
            _trim(self._keys)
        return key

    def forget(self, digest: str) -> None:
        """Let a key go at once."""
        self.forgotten += 1
        self._keys.pop(digest, None)

    def _buckets(self, row: ApiKeyRow) -> Limits:
        limits = self._limits.get(row.id)
        if limits is None or not limits.fits(row.requests_per_minute, row.tokens_per_minute):
            limits = self._limits[row.id] = Limits(row.requests_per_minute, row.tokens_per_minute, self._clock())
        self._limits.move_to_end(row.id)
        _trim(self._limits)
        return limits


def _trim(kept: OrderedDict[str, Any]) -> None:
    if len(kept) > MOST:
        kept.popitem(last=False)
