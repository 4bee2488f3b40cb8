"""Rows of graphs' runs."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, and_, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.types import Principal, RunStatus, ThreadStatus, utc_now
from ...store.appending import LogTransaction
from ...store.lease import Lease
from ...store.models import RunRow, ThreadRow
from ...store.models.base import table_of
from ...store.prepared import Transaction, prepared
from ...store.several import filled, one_of, size_for
from ..runs.repository import ACTIVE, GRAPH, HOLD
from ..scope import mine

_RUNS: Final = table_of(RunRow)
_MINE_STILL: Final = and_(
    _RUNS.c.id == bindparam("run"), _RUNS.c.status == RunStatus.PENDING.value, _RUNS.c.attempt == 0
)
_FORGET: Final = prepared(_RUNS.delete().where(_MINE_STILL).returning(_RUNS.c.id))
_DROP: Final = prepared(
    _RUNS.update()
    .where(_MINE_STILL)
    .values(
        status=RunStatus.INTERRUPTED.value,
        reason="cancelled",
        ended_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
    .returning(_RUNS.c.id)
)
_STOP: Final = prepared(
    _RUNS.update()
    .where(
        _RUNS.c.id == bindparam("run"),
        or_(*(_RUNS.c.status == status.value for status in ACTIVE)),
        _RUNS.c.kind != HOLD,
    )
    .values(cancel_requested=True, cancel_action=bindparam("action"), updated_at=bindparam("now"))
    .returning(_RUNS.c.id)
)


@cache
def _active(size: int) -> Select[Any]:
    due = or_(_RUNS.c.not_before.is_(None), _RUNS.c.not_before <= bindparam("now"))
    running, pending = (_RUNS.c.status == status.value for status in (RunStatus.RUNNING, RunStatus.PENDING))
    return prepared(
        select(_RUNS.c.thread_id, _RUNS.c.id, _RUNS.c.status).where(
            one_of(_RUNS.c.thread_id, "thread", size), or_(running, and_(pending, due))
        )
    )


async def inflight(session: Transaction, thread_id: str) -> dict[str, str]:
    """Name a thread's runs that run or are due, with their status. One that starts later does not count."""
    return (await inflight_of(session, [thread_id])).get(thread_id, {})


async def inflight_of(session: Transaction, thread_ids: Sequence[str]) -> dict[str, dict[str, str]]:
    """As `inflight` for several threads; those without such runs are left out."""
    found: dict[str, dict[str, str]] = {}
    if thread_ids:
        asked = filled("thread", thread_ids) | {"now": utc_now()}
        for row in await session.execute(_active(size_for(thread_ids)), asked):
            found.setdefault(row.thread_id, {})[row.id] = row.status
    return found


async def drop_pending(session: Transaction, run_id: str, *, delete_row: bool) -> bool:
    """End a run that was not claimed yet; False when it was."""
    statement, more = (_FORGET, {}) if delete_row else (_DROP, {"now": utc_now()})
    return (await session.execute(statement, {"run": run_id, **more})).first() is not None


async def ask_to_stop(session: Transaction, run_ids: Sequence[str], action: str) -> Sequence[str]:
    """Note on active runs that they shall stop; the ids of those that are active."""
    stopped: list[str] = []
    for run_id in sorted(run_ids):
        asked = await session.execute(_STOP, {"run": run_id, "action": action, "now": utc_now()})
        stopped += asked.scalars()
    return stopped


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
