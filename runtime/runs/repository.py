"""Rows of runs and turns. The pending row is the queue entry."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal, RunStatus, new_id, utc_now
from ...store.models import RunRow, TurnRow
from ...store.models.base import table_of
from ..scope import bound, mine, mine_bound, owned_by

ACTIVE = (RunStatus.PENDING, RunStatus.RUNNING)
TURN = "turn"
GRAPH = "graph"
HOLD = "hold"
"""No run: somebody changes the thread's state by hand (`runtime/threads/holding.py`)."""


_RUNS = table_of(RunRow)
_TURNS = table_of(TurnRow)
_RUN = select(RunRow).where(
    RunRow.id == bindparam("id"),
    RunRow.thread_id == bindparam("thread"),
    RunRow.kind != HOLD,
    mine_bound(RunRow),
)
_ACTIVE = select(RunRow.id).where(RunRow.thread_id == bindparam("thread"), RunRow.status.in_(ACTIVE)).limit(1)
_NEWEST_TURN = (
    select(TurnRow.status)
    .where(TurnRow.thread_id == bindparam("thread"))
    .order_by(TurnRow.created_at.desc(), TurnRow.id.desc())
    .limit(1)
)


async def get_run(session: AsyncSession, principal: Principal, thread_id: str, run_id: str) -> RunRow:
    """Fetch one of a thread; `NotFound` when there is none of this principal's."""
    asked = bound(principal, id=run_id, thread=thread_id)
    row = (await session.scalars(_RUN, asked)).one_or_none()
    if row is None:
        raise NotFound("There is no such run in this thread")
    return row


async def runs_of(session: AsyncSession, principal: Principal, thread_id: str, limit: int) -> Sequence[RunRow]:
    """Fetch a thread's runs, newest first."""
    query = select(RunRow).where(RunRow.thread_id == thread_id, RunRow.kind == TURN, mine(RunRow, principal))
    return (await session.scalars(query.order_by(RunRow.created_at.desc(), RunRow.id.desc()).limit(limit))).all()


async def active_run(session: AsyncSession, thread_id: str) -> str | None:
    """Name the thread's pending or running run."""
    return (await session.scalars(_ACTIVE, {"thread": thread_id})).first()


def new_run(principal: Principal, *, thread_id: str, kind: str = TURN, **more: Any) -> RunRow:
    """Make a pending row (a turn's: `turn_id=`, `settings=`, and `input=` or `resume=` with `resumes_run_id=`)."""
    now = utc_now()
    row = {
        "id": new_id(),
        "thread_id": thread_id,
        "kind": kind,
        "status": RunStatus.PENDING,
        "settings": {},
        "meta": {},
        "priority": 0,
        "attempt": 0,
        "handed_back": 0,
        "cancel_requested": False,
        "created_at": now,
        "updated_at": now,
    }
    return RunRow(**row | owned_by(principal) | more)


async def pending_before(session: AsyncSession, before: datetime) -> str | None:
    """Name a run that has been pending and due since `before`; None when there is none."""
    query = select(RunRow.id).where(
        RunRow.status == RunStatus.PENDING,
        RunRow.created_at < before,
        or_(RunRow.not_before.is_(None), RunRow.not_before <= utc_now()),
    )
    return (await session.scalars(query.limit(1))).first()


async def running_rows(session: AsyncSession) -> Sequence[RunRow]:
    """Fetch every running row, holds apart: nobody delivers those again."""
    query = select(RunRow).where(RunRow.status == RunStatus.RUNNING, RunRow.kind != HOLD)
    return (await session.scalars(query)).all()


def _as_seen(row: RunRow) -> ColumnElement[bool]:
    """The row has the owner, attempt and heartbeat it had when it was read."""
    return and_(
        RunRow.id == row.id,
        RunRow.status == RunStatus.RUNNING,
        RunRow.owner == row.owner,
        RunRow.attempt == row.attempt,
        RunRow.heartbeat_at == row.heartbeat_at,
    )


async def unmoved(session: AsyncSession, row: RunRow) -> bool:
    """Tell whether nobody touched a running row since it was read."""
    return (await session.scalars(select(RunRow.id).where(_as_seen(row)))).one_or_none() is not None


async def requeue(session: AsyncSession, row: RunRow) -> bool:
    """Put a run whose owner is gone back to pending, unless it moved meanwhile; the next claim counts the attempt."""
    back = (
        update(RunRow)
        .where(_as_seen(row))
        .values(status=RunStatus.PENDING, owner=None, heartbeat_at=None)
        .returning(RunRow.id)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(back)).one_or_none() is not None


async def get_turn(session: AsyncSession, turn_id: str) -> TurnRow:
    """Fetch a turn that is known to exist."""
    return (await session.scalars(select(TurnRow).where(TurnRow.id == turn_id))).one()


async def unfinished_turn(session: AsyncSession, thread_id: str) -> bool:
    """Tell whether the thread's newest turn may have left messages that the root's state does not hold."""
    newest = (await session.scalars(_NEWEST_TURN, {"thread": thread_id})).first()
    return newest is not None and newest != RunStatus.SUCCESS
