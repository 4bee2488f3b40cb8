"""One store for everybody, in which each principal sees only what is theirs."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from math import ceil
from typing import Any

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    MatchCondition,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
)

from ...core.types import Principal

Namespace = tuple[str, ...]


def owner_root(principal: Principal) -> Namespace:
    """Name the hidden labels that a principal's namespaces begin with.

    A digest: every owner's label has the same length and alphabet, so none is the beginning of another, and a user id
    may hold what a label may not.
    """
    whose = f"{len(principal.tenant_id)}:{principal.tenant_id}:{principal.user_id}"
    return ("u", sha256(whose.encode()).hexdigest()[:40])


def owned_store(store: BaseStore, principal: Principal) -> BaseStore:
    """Show a store as its principal sees it, over HTTP and in a graph alike."""
    return OwnedStore(store, owner_root(principal))


class OwnedStore(BaseStore):
    """A store below hidden labels: they are put before every namespace that goes in and taken off all that come out.

    Args:
        store: Where everybody's items are.
        root: The labels.
    """

    def __init__(self, store: BaseStore, root: Namespace) -> None:
        self._store = store
        self._root = root
        self.supports_ttl = store.supports_ttl
        self.ttl_config = store.ttl_config

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Execute operations, in order; from a thread that runs no event loop."""
        return [self._shown(result) for result in self._store.batch([self._rooted(op) for op in ops])]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Execute operations, in order."""
        return [self._shown(result) for result in await self._store.abatch([self._rooted(op) for op in ops])]

    def _rooted(self, op: Op) -> Op:
        if isinstance(op, PutOp):
            # A read renews whole minutes only: half a minute would end at the first one.
            ttl = None if op.ttl is None else ceil(op.ttl)
            return op._replace(namespace=(*self._root, *op.namespace), ttl=ttl)
        if isinstance(op, GetOp):
            return op._replace(namespace=(*self._root, *op.namespace))
        if isinstance(op, SearchOp):
            return op._replace(namespace_prefix=(*self._root, *op.namespace_prefix))
        return self._listing(op)

    def _listing(self, op: ListNamespacesOp) -> ListNamespacesOp:
        asked = [
            MatchCondition(one.match_type, (*self._root, *one.path)) if one.match_type == "prefix" else one
            for one in op.match_conditions or ()
        ]
        depth = None if op.max_depth is None else op.max_depth + len(self._root)
        return op._replace(match_conditions=(MatchCondition("prefix", self._root), *asked), max_depth=depth)

    def _shown(self, result: Result) -> Result:
        if isinstance(result, Item):
            return self._item(result)
        return self._list(result) if isinstance(result, list) else result

    def _list(self, found: list[Any]) -> list[Any]:
        cut = len(self._root)
        items = [self._item(one) for one in found if isinstance(one, Item) and self._is_mine(one.namespace)]
        return items or [tuple(one[cut:]) for one in found if isinstance(one, tuple) and self._is_mine(one)]

    def _is_mine(self, namespace: Namespace) -> bool:
        """The store was asked for nothing else; should it ever answer more, it stops here."""
        return namespace[: len(self._root)] == self._root

    def _item(self, item: Item) -> Item:
        """Copy an item under its visible name: the store may go on using the one it gave out."""
        more = {"score": item.score} if isinstance(item, SearchItem) else {}
        return type(item)(
            value=item.value,
            key=item.key,
            namespace=item.namespace[len(self._root) :],
            created_at=item.created_at,
            updated_at=item.updated_at,
            **more,
        )
