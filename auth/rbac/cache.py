"""What everybody may do, flattened once for each version of a tenant's roles and remembered."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ...core.errors import Unavailable
from ...core.permissions import ALL
from ...store.engine import Database
from ...store.models import RbacVersionRow, RoleParentRow, RoleRow, UserRoleRow, UserRow
from ...store.models.base import table_of

FRESH_S: Final = 2.0
"""Seconds that nobody asks whether something changed: what another process changed holds after them."""
MOST: Final = 10_000
_NOTHING: Final = frozenset[str]()
_R: Final = table_of(RoleRow)
_P: Final = table_of(RoleParentRow)
_H: Final = table_of(UserRoleRow)
_U: Final = table_of(UserRow)
_V: Final = table_of(RbacVersionRow)
Key = tuple[str, str]
"""A tenant and a person."""


def _held() -> Select[Any]:
    """The permissions of every role that an active person has, or that is above one they have."""
    has = select(_H.c.role_id.label("id")).join(_U, _U.c.id == _H.c.user_id)
    held = has.where(_U.c.id == bindparam("user"), _U.c.is_active).cte("held", recursive=True)
    held = held.union(select(_P.c.parent_id).join(held, _P.c.role_id == held.c.id))
    mine = and_(_U.c.id == bindparam("user"), _U.c.tenant_id == _R.c.tenant_id)
    return select(_R.c.permissions).join(held, held.c.id == _R.c.id).join(_U, mine)


_HELD: Final = _held()
_STATE: Final = (
    select(_U.c.is_active, _V.c.version)
    .outerjoin_from(_U, _V, _V.c.tenant_id == _U.c.tenant_id)
    .where(_U.c.id == bindparam("user"), _U.c.tenant_id == bindparam("tenant"))
)


@dataclass(frozen=True, slots=True)
class _Known:
    permissions: frozenset[str]
    version: int | None
    """Of the tenant's roles; None: the person may do nothing."""
    until: float


class PermissionCache:
    """The `Permissions` of a database: a person's are read again when they, or their tenant's roles, changed.

    Args:
        database: Where the rows are.
        clock: Seconds, monotonic.
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._known: OrderedDict[Key, _Known] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[frozenset[str]]] = {}
        self._forgotten = 0

    async def of_user(self, user_id: str, tenant_id: str) -> frozenset[str]:
        """See `Permissions`. Of many who ask at the same time, one looks.

        Raises:
            Unavailable: The database cannot tell.
        """
        key = (tenant_id, user_id)
        known = self._known.get(key)
        if known is not None and self._clock() < known.until:
            return known.permissions
        loading = self._loading.get(key)
        if loading is None:
            loading = self._loading[key] = asyncio.create_task(self._load(key))
            loading.add_done_callback(lambda done: self._loaded(key, done))
        return await asyncio.shield(loading)  # who hangs up does not take the answer from the others

    def read(self, session: Session, user_id: str) -> frozenset[str]:
        """See `Permissions`."""
        return frozenset().union(*session.scalars(_HELD, {"user": user_id})) & ALL

    def forget(self, tenant_id: str) -> None:
        """Let go of a tenant's at once: who asks from now on is told what the database says now."""
        self._forgotten += 1
        for kept in (self._known, self._loading):
            for key in [key for key in kept if key[0] == tenant_id]:
                del kept[key]

    async def _load(self, key: Key) -> frozenset[str]:
        forgotten, until, before = self._forgotten, self._clock() + FRESH_S, self._known.get(key)
        try:
            known = await self._read(key, before, until)
        except SQLAlchemyError as exc:
            raise Unavailable("What you may do cannot be looked up just now; try again.") from exc
        if forgotten == self._forgotten:
            self._known[key] = known
            self._known.move_to_end(key)
            if len(self._known) > MOST:
                self._known.popitem(last=False)
        return known.permissions

    async def _read(self, key: Key, before: _Known | None, until: float) -> _Known:
        tenant_id, user_id = key
        async with self._database.read() as session:
            state = (await session.execute(_STATE, {"user": user_id, "tenant": tenant_id})).one_or_none()
            if state is None or not state.is_active:
                return _Known(_NOTHING, None, until)
            # The version first: what is read after it is never older than that.
            version: int = state.version or 0
            if before is not None and before.version == version:
                return _Known(before.permissions, version, until)
            return _Known(await session.run_sync(self.read, user_id), version, until)

    def _loaded(self, key: Key, done: asyncio.Task[frozenset[str]]) -> None:
        if self._loading.get(key) is done:
            del self._loading[key]
        if not done.cancelled():
            done.exception()  # it was told to whoever waited
