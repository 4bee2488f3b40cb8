"""Rows of graphs' runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.types import Principal, RunStatus, ThreadStatus, utc_now
from ...store.appending import LogTransaction
from ...store.lease import Lease
from ...store.models import RunRow, ThreadRow
from ..runs.repository import ACTIVE, GRAPH, HOLD
from ..scope import mine

_ACTIVE = select(RunRow.thread_id, RunRow.id, RunRow.status).where(
    RunRow.thread_id.in_(bindparam("threads", expanding=True)),
    RunRow.status.in_(ACTIVE),
    or_(RunRow.not_before.is_(None), RunRow.not_before <= bindparam("now"), RunRow.status == RunStatus.RUNNING),
)


async def inflight(session: AsyncSession, thread_id: str) -> dict[str, str]:
    """Name a thread's runs that run or are due, with their status. One that starts later does not count."""
    return (await inflight_of(session, [thread_id])).get(thread_id, {})


async def inflight_of(session: AsyncSession, thread_ids: Collection[str]) -> dict[str, dict[str, str]]:
    """As `inflight` for several threads; those without such runs are left out."""
    found: dict[str, dict[str, str]] = {}
    if thread_ids:
        for row in await session.execute(_ACTIVE, {"threads": list(thread_ids), "now": utc_now()}):
            found.setdefault(row.thread_id, {})[row.id] = row.status
    return found


async def drop_pending(session: AsyncSession, run_id: str, *, delete_row: bool) -> bool:
    """End a run that was not claimed yet; False when it was."""
    mine_still = RunRow.id == run_id, RunRow.status == RunStatus.PENDING, RunRow.attempt == 0
    if delete_row:
        gone: Any = delete(RunRow).where(*mine_still).returning(RunRow.id)
    else:
        now = utc_now()
        ended = {"status": RunStatus.INTERRUPTED, "reason": "cancelled", "ended_at": now, "updated_at": now}
        gone = update(RunRow).where(*mine_still).values(**ended).returning(RunRow.id)
    return (await session.execute(gone, execution_options={"synchronize_session": False})).first() is not None


async def ask_to_stop(session: AsyncSession, run_ids: Sequence[str], action: str) -> Sequence[str]:
    """Note on active runs that they shall stop; the ids of those that are active."""
    asked = (
        update(RunRow)
        .where(RunRow.id.in_(run_ids), RunRow.status.in_(ACTIVE), RunRow.kind != HOLD)
        .values(cancel_requested=True, cancel_action=action, updated_at=utc_now())
        .returning(RunRow.id)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(asked)).all()


async def unfinished(session: AsyncSession, thread_id: str) -> dict[str, str]:
    """Name a thread's runs that are not over, also those that start later, with their status."""
    rows = select(RunRow.id, RunRow.status).where(RunRow.thread_id == thread_id, RunRow.status.in_(ACTIVE))
    return {row.id: row.status for row in (await session.execute(rows)).all()}


async def occupy(writing: LogTransaction, lease: Lease, thread_id: str) -> None:
    """Mark the thread of a run that starts later than it was made: it was at rest until now.

    Raises:
        LostLease: The run is somebody else's by now.
    """
    await writing.lock(thread_id)
    await lease.hold(writing.session)
    busy = update(ThreadRow).where(ThreadRow.id == thread_id)
    await writing.session.execute(busy.values(status=ThreadStatus.BUSY, updated_at=utc_now()))


async def runs_of(
    session: AsyncSession, principal: Principal, thread_id: str, *, status: str | None, window: tuple[int, int]
) -> Sequence[RunRow]:
    """Fetch a thread's runs, newest first; `window` is limit and offset."""
    query = select(RunRow).where(RunRow.thread_id == thread_id, RunRow.kind != HOLD, mine(RunRow, principal))
    if status is not None:
        query = query.where(RunRow.status == status)
    limit, offset = window
    query = query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(limit).offset(offset)
    return (await session.scalars(query)).all()


async def active_of(
    session: AsyncSession,
    principal: Principal,
    *,
    status: str | None,
    thread_id: str | None,
    run_ids: Sequence[str] | None,
) -> dict[str, str]:
    """Name a principal's active runs of graphs, with their threads: those named, or those of a status."""
    query = select(RunRow.id, RunRow.thread_id).where(mine(RunRow, principal), RunRow.kind == GRAPH)
    query = query.where(RunRow.status.in_(ACTIVE) if status in {None, "all"} else RunRow.status == status)
    if thread_id is not None:
        query = query.where(RunRow.thread_id == thread_id)
    if run_ids is not None:
        query = query.where(RunRow.id.in_(run_ids))
    return {row.id: row.thread_id for row in (await session.execute(query)).all()}
