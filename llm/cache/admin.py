"""What an administrator may see and forget: of one tenant, their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from ...core.errors import InvalidInput, NotFound
from .cache import ResponseCache
from .keys import tenant_prefix
from .tags import LONGEST, TENANT, scoped


class CacheAdmin:
    """Works for one tenant at a time.

    Args:
        cache: The cache.
    """

    def __init__(self, cache: ResponseCache) -> None:
        self._cache = cache

    def stats(self, tenant: str) -> dict[str, Any]:
        """Tell what the cache was good for since the process began, and how full its store is."""
        counters = self._cache.books.of(tenant)
        told: dict[str, Any] = msgspec.to_builtins(counters)
        rates = {
            "hit_rate": counters.hit_rate,
            "semantic_hit_rate": counters.semantic_hit_rate,
            "semantic_precision": counters.precision,
        }
        return {**told, **rates, "store": msgspec.to_builtins(self._cache.figures())}

    async def forget(self, tenant: str) -> None:
        """Forget every answer of a tenant."""
        await self._cache.bump([scoped(tenant, TENANT)])

    async def bump(self, tenant: str, tags: Sequence[str]) -> None:
        """Forget every answer that depends on one of these tags (`model:…`, or what requests named).

        Raises:
            InvalidInput: A tag is empty or too long.
            Unavailable: The store cannot be reached.
        """
        if any(not 0 < len(tag) <= LONGEST for tag in tags):
            raise InvalidInput(f"A tag has 1 to {LONGEST} characters.")
        await self._cache.bump([scoped(tenant, tag) for tag in tags])

    async def purge(self, tenant: str, key: str) -> None:
        """Forget one answer, by the hexadecimal key that its plan shows.

        Raises:
            InvalidInput: That is no key.
            NotFound: There is none, or it is another tenant's.
            Unavailable: The store cannot be reached.
        """
        try:
            raw = bytes.fromhex(key)
        except ValueError as exc:
            raise InvalidInput("A key is hexadecimal.") from exc
        if not raw.startswith(tenant_prefix(tenant)) or not await self._cache.purge(raw):
            raise NotFound("There is no stored answer with this key.")
