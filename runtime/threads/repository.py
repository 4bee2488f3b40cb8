"""Rows of threads."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal, ThreadStatus
from ...store.models import ThreadRow
from ..paging import decode_cursor
from ..scope import bound, mine, mine_bound

_MINE = select(ThreadRow).where(ThreadRow.id == bindparam("id"), mine_bound(ThreadRow))
_MINE_LOCKED = _MINE.with_for_update(key_share=True)


async def get_thread(session: AsyncSession, principal: Principal, thread_id: str, *, lock: bool = False) -> ThreadRow:
    """Fetch one; `NotFound` when there is none of this principal's.

    With `lock` nobody else changes what belongs to the thread until the transaction ends.
    """
    asked = bound(principal, id=thread_id)
    row = (await session.scalars(_MINE_LOCKED if lock else _MINE, asked)).one_or_none()
    if row is None:
        raise NotFound("There is no such thread")
    return row


async def page_of_threads(
    session: AsyncSession, principal: Principal, *, status: ThreadStatus | None, cursor: str | None, limit: int
) -> Sequence[ThreadRow]:
    """Fetch up to `limit` threads, last changed first."""
    query = select(ThreadRow).where(mine(ThreadRow, principal))
    if status is not None:
        query = query.where(ThreadRow.status == status)
    if cursor is not None:
        at, thread_id = decode_cursor(cursor)
        same_time = and_(ThreadRow.updated_at == at, ThreadRow.id < thread_id)
        query = query.where(or_(ThreadRow.updated_at < at, same_time))
    query = query.order_by(ThreadRow.updated_at.desc(), ThreadRow.id.desc()).limit(limit)
    return (await session.scalars(query)).all()
