"""The long-term store as its owner sees it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog
from langgraph.store.base import BaseStore, InvalidNamespaceError

from ...core.errors import BadRequest, InvalidInput
from ...core.types import Principal
from .owned import owned_store
from .schemas import FoundItem, ItemKey, ItemSearch, NamespaceSearch, NewItem, StoredItem

log = structlog.get_logger(__name__)


class ItemService:
    """Items of one principal at a time. A run's graph sees the same ones through `store_of`.

    Args:
        store: Everybody's store.
    """

    def __init__(self, store: BaseStore) -> None:
        self._store = store

    def store_of(self, principal: Principal) -> BaseStore:
        """Give the store to hand to a graph that runs for a principal."""
        return owned_store(self._store, principal)

    async def put(self, principal: Principal, item: NewItem) -> None:
        """Store an item, or replace the one at its place.

        Raises:
            InvalidInput: A label is empty or holds a period, or this store forgets nothing and a `ttl` was asked for.
            BadRequest: There is no namespace, or it is one of LangGraph's own.
        """
        namespace = _labels(item.namespace)
        if item.ttl is not None and not self._store.supports_ttl:
            raise InvalidInput("Items kept in memory have no ttl; leave it out, or use a database file")
        async with _told():
            store = self.store_of(principal)
            await store.aput(namespace, item.key, item.value, index=item.index, ttl=item.ttl)

    async def get(self, principal: Principal, place: ItemKey, *, refresh_ttl: bool | None = None) -> StoredItem | None:
        """Fetch an item; None when there is none."""
        namespace = _labels(place.namespace or [""])
        async with _told():
            item = await self.store_of(principal).aget(namespace, place.key, refresh_ttl=refresh_ttl)
        return None if item is None else StoredItem.of(item)

    async def delete(self, principal: Principal, place: ItemKey) -> None:
        """Forget an item, if there is one."""
        async with _told():
            await self.store_of(principal).adelete(_labels(place.namespace), place.key)

    async def search(self, principal: Principal, asked: ItemSearch) -> list[FoundItem]:
        """Find items below a namespace."""
        prefix = _labels(asked.namespace_prefix)
        async with _told():
            found = await self.store_of(principal).asearch(
                prefix,
                query=asked.query,
                filter=asked.filter,
                limit=asked.limit or 10,
                offset=asked.offset,
                refresh_ttl=asked.refresh_ttl,
            )
        return [FoundItem.of(item) for item in found]

    async def namespaces(self, principal: Principal, asked: NamespaceSearch) -> list[list[str]]:
        """List the namespaces that hold items."""
        prefix, suffix = _labels(asked.prefix), _labels(asked.suffix)
        async with _told():
            found = await self.store_of(principal).alist_namespaces(
                prefix=prefix or None,
                suffix=suffix or None,
                max_depth=asked.max_depth,
                limit=asked.limit,
                offset=asked.offset,
            )
        return [list(namespace) for namespace in found]

    async def sweep(self) -> int:
        """Drop items whose time is over, and tell how many; a store in memory has none."""
        sweep: Any = getattr(self._store, "sweep_ttl", None)
        dropped: int = 0 if sweep is None else await sweep()
        if dropped > 0:
            log.info("items_expired", count=dropped)
        return max(dropped, 0)


def _labels(namespace: list[str]) -> tuple[str, ...]:
    """Refuse what a store would refuse or, worse, take for another namespace."""
    for label in namespace:
        if not label or "." in label or "\x00" in label or not _encodes(label):
            raise InvalidInput(f"Namespace label {label!r} must be a non-empty string without periods")
    return tuple(namespace)


def _encodes(label: str) -> bool:
    return label.isascii() or label.encode("utf-8", "ignore").decode() == label


@asynccontextmanager
async def _told() -> AsyncIterator[None]:
    """Turn what a store says of a request into an answer."""
    try:
        yield
    except InvalidNamespaceError as exc:
        raise BadRequest(str(exc)) from exc
    except (ValueError, TypeError, OverflowError) as exc:
        raise BadRequest(f"The store cannot do this: {exc}") from exc
