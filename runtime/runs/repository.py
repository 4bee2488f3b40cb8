"""Rows of runs and turns. The pending row is the queue entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal, RunStatus, new_id, utc_now
from ...store.models import RunRow, ThreadRow, TurnRow, WorkspaceRow
from ...store.models.base import table_of
from ...store.prepared import Transaction, prepared
from ..scope import bound, kept_scopes, mine, mine_bound, owned_by

ACTIVE = (RunStatus.PENDING, RunStatus.RUNNING)
TURN = "turn"
GRAPH = "graph"
HOLD = "hold"
"""No run: somebody changes the thread's state by hand (`runtime/threads/holding.py`)."""


_RUNS = table_of(RunRow)
_TURNS = table_of(TurnRow)
_THREADS = table_of(ThreadRow)
_WORKSPACES = table_of(WorkspaceRow)
_RUN = select(RunRow).where(
    RunRow.id == bindparam("id"),
    RunRow.thread_id == bindparam("thread"),
    RunRow.kind != HOLD,
    mine_bound(RunRow),
)
_GROUND = prepared(
    select(
        _THREADS.c.status,
        _THREADS.c.workspace_id,
        _WORKSPACES.c.path.label("workspace_path"),
        select(_RUNS.c.id)
        .where(_RUNS.c.thread_id == _THREADS.c.id, or_(*[_RUNS.c.status == status.value for status in ACTIVE]))
        .limit(1)
        .scalar_subquery()
        .label("active_run"),
        select(_TURNS.c.status)
        .where(_TURNS.c.thread_id == _THREADS.c.id)
        .order_by(_TURNS.c.created_at.desc(), _TURNS.c.id.desc())
        .limit(1)
        .scalar_subquery()
        .label("newest_turn"),
    )
    .outerjoin_from(_THREADS, _WORKSPACES, _WORKSPACES.c.id == _THREADS.c.workspace_id)
    .where(
        _THREADS.c.id == bindparam("id"),
        _THREADS.c.owner_id == bindparam("owner"),
        _THREADS.c.tenant_id == bindparam("tenant"),
    )
)
_SETTINGS = prepared(select(_RUNS.c.settings, _RUNS.c.scopes).where(_RUNS.c.id == bindparam("id")))
_ACTIVE = select(RunRow.id).where(RunRow.thread_id == bindparam("thread"), RunRow.status.in_(ACTIVE)).limit(1)


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
    row: dict[str, Any] = {
        "id": new_id(),
        "thread_id": thread_id,
        "kind": kind,
        "status": RunStatus.PENDING,
        "settings": {},
        "scopes": kept_scopes(principal.scopes),
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


@dataclass(frozen=True, slots=True)
class Ground:
    """What a new turn finds in its thread.

    Attributes:
        status: The thread's.
        workspace_id: The thread's, if it has one.
        workspace_path: Where that lies.
        active_run: The run that is pending or running.
        newest_turn: The status of the newest turn.
    """

    status: str
    workspace_id: str | None
    workspace_path: str | None
    active_run: str | None
    newest_turn: str | None

    @property
    def unfinished(self) -> bool:
        """Whether the newest turn may have left messages that the root's state does not hold."""
        return self.newest_turn not in {None, RunStatus.SUCCESS}


async def ground_of(session: Transaction, principal: Principal, thread_id: str) -> Ground:
    """Look at a thread, which is locked; `NotFound` when there is none of this principal's."""
    row = (await session.execute(_GROUND, bound(principal, id=thread_id))).one_or_none()
    if row is None:
        raise NotFound("There is no such thread")
    return Ground(*row)


async def settings_of(session: Transaction, run_id: str) -> tuple[dict[str, Any], list[str] | None]:
    """Fetch a run's settings, and what whoever started it was allowed to do; the run is known to exist."""
    row = (await session.execute(_SETTINGS, {"id": run_id})).one()
    return row.settings, row.scopes
