"""Rows of threads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal, ThreadStatus, new_id, utc_now
from ...store.models import ThreadRow
from ...store.models.base import table_of
from ...store.prepared import Transaction, prepared
from ...store.rows import detached
from ..paging import decode_cursor
from ..scope import bound, mine, mine_bound, owned_by

_MINE = select(ThreadRow).where(ThreadRow.id == bindparam("id"), mine_bound(ThreadRow))
_THREADS = table_of(ThreadRow)
_READ = prepared(
    select(_THREADS).where(
        _THREADS.c.id == bindparam("id"),
        _THREADS.c.owner_id == bindparam("owner"),
        _THREADS.c.tenant_id == bindparam("tenant"),
    )
)
_MINE_LOCKED = _MINE.with_for_update(key_share=True)


def new_thread(principal: Principal, *, thread_id: str | None = None, **more: Any) -> ThreadRow:
    """Make the row of an idle thread with an empty log; `more` fills other columns."""
    now = utc_now()
    row: dict[str, Any] = {
        "id": thread_id or new_id(),
        "status": ThreadStatus.IDLE,
        "epoch": new_id(),
        "last_seq": 0,
        "trimmed_seq": 0,
        "meta": {},
        "config": {},
        "interrupts": {},
        "created_at": now,
        "updated_at": now,
        "state_updated_at": now,
    }
    row |= owned_by(principal) | more
    return ThreadRow(**row | {"meta": {**row["meta"], **principal.marks}})


async def get_thread(session: AsyncSession, principal: Principal, thread_id: str, *, lock: bool = False) -> ThreadRow:
    """Fetch one; `NotFound` when there is none of this principal's.

    With `lock` nobody else changes what belongs to the thread until the transaction ends.
    """
    asked = bound(principal, id=thread_id)
    row = (await session.scalars(_MINE_LOCKED if lock else _MINE, asked)).one_or_none()
    if row is None:
        raise NotFound("There is no such thread")
    return row


async def read_thread(session: Transaction, principal: Principal, thread_id: str) -> ThreadRow:
    """Fetch one to look at; `NotFound` when there is none of this principal's."""
    row = (await session.execute(_READ, bound(principal, id=thread_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such thread")
    return detached(ThreadRow, row)


async def page_of_threads(
    session: AsyncSession, principal: Principal, *, status: ThreadStatus | None, cursor: str | None, limit: int
) -> Sequence[ThreadRow]:
    """Fetch up to `limit` threads that have a workspace, last changed first."""
    query = select(ThreadRow).where(mine(ThreadRow, principal), ThreadRow.workspace_id.is_not(None))
    if status is not None:
        query = query.where(ThreadRow.status == status)
    if cursor is not None:
        at, thread_id = decode_cursor(cursor)
        same_time = and_(ThreadRow.updated_at == at, ThreadRow.id < thread_id)
        query = query.where(or_(ThreadRow.updated_at < at, same_time))
    query = query.order_by(ThreadRow.updated_at.desc(), ThreadRow.id.desc()).limit(limit)
    return (await session.scalars(query)).all()
