"""Rows of approvals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import ApprovalStatus, Principal, RunStatus, utc_now
from ...store.eventlog import LogTransaction
from ...store.models import ApprovalRow, ThreadRow, TurnRow
from ...store.models.base import table_of
from ...store.prepared import Transaction, prepared
from ...store.records import NewEvent
from ...store.rows import detached
from ..scope import bound, mine, mine_bound

_MINE = select(ApprovalRow).where(ApprovalRow.id == bindparam("id"), mine_bound(ApprovalRow))
_APPROVALS, _TURNS, _THREADS = table_of(ApprovalRow), table_of(TurnRow), table_of(ThreadRow)
_ASKED = _APPROVALS.alias()
_RUN_OF = select(_ASKED.c.run_id).where(
    _ASKED.c.id == bindparam("id"), _ASKED.c.owner_id == bindparam("owner"), _ASKED.c.tenant_id == bindparam("tenant")
)
_SIBLINGS = prepared(
    select(_APPROVALS)
    .where(_APPROVALS.c.run_id == _RUN_OF.scalar_subquery())
    .order_by(_APPROVALS.c.interrupt_id, _APPROVALS.c.position)
)
_THREAD_OF = select(_ASKED.c.thread_id).where(_ASKED.c.id == bindparam("id")).scalar_subquery()
_LOCK = prepared(select(_THREADS.c.id).where(_THREADS.c.id == _THREAD_OF).with_for_update(key_share=True))
_DECIDED = ("status", "decision", "edited_args", "message", "decided_by", "decided_at")
_DECIDE = prepared(
    _APPROVALS.update()
    .where(_APPROVALS.c.id == bindparam("decided"))
    .values({name: bindparam(f"new_{name}", type_=_APPROVALS.c[name].type) for name in _DECIDED})
)
_GIVE_UP = (
    _APPROVALS.update()
    .where(_APPROVALS.c.thread_id == bindparam("thread"), _APPROVALS.c.status == ApprovalStatus.PENDING.value)
    .values(status=ApprovalStatus.CANCELLED.value, decided_by=bindparam("by"), decided_at=bindparam("now"))
    .returning(_APPROVALS.c.id, _APPROVALS.c.tool_call_id, _APPROVALS.c.run_id, _APPROVALS.c.turn_id)
)
_GIVE_UP_ALL = prepared(_GIVE_UP)
_GIVE_UP_RUN = prepared(_GIVE_UP.where(_APPROVALS.c.run_id == bindparam("run")))
_END_TURN = prepared(
    _TURNS.update()
    .where(_TURNS.c.id == bindparam("turn"))
    .values(status=RunStatus.INTERRUPTED.value, ended_at=bindparam("now"))
)


async def asked_together(writing: LogTransaction, principal: Principal, approval_id: str) -> Sequence[ApprovalRow]:
    """Fetch everything that an approval's run asked, in the order it asked, with the thread locked.

    Raises:
        NotFound: There is no such approval of this principal's.
    """
    if writing.locks_rows:
        await writing.session.execute(_LOCK, {"id": approval_id})
    asked = bound(principal, id=approval_id)
    rows = (await writing.session.execute(_SIBLINGS, asked)).all()
    if not rows:
        raise NotFound("There is no such approval")
    return [detached(ApprovalRow, row) for row in rows]


async def save_decision(session: Transaction, row: ApprovalRow) -> None:
    """Write what became of one that `asked_together` fetched."""
    await session.execute(_DECIDE, {"decided": row.id, **{f"new_{name}": getattr(row, name) for name in _DECIDED}})


async def get_approval(session: AsyncSession, principal: Principal, approval_id: str) -> ApprovalRow:
    """Fetch one; `NotFound` when there is none of this principal's."""
    asked = bound(principal, id=approval_id)
    row = (await session.scalars(_MINE, asked)).one_or_none()
    if row is None:
        raise NotFound("There is no such approval")
    return row


async def approvals_of(
    session: AsyncSession,
    principal: Principal,
    *,
    status: ApprovalStatus | None = None,
    thread_id: str | None = None,
    limit: int = 200,
) -> Sequence[ApprovalRow]:
    """Fetch approvals, oldest first."""
    query = select(ApprovalRow).where(mine(ApprovalRow, principal))
    if status is not None:
        query = query.where(ApprovalRow.status == status)
    if thread_id is not None:
        query = query.where(ApprovalRow.thread_id == thread_id)
    ordered = query.order_by(ApprovalRow.created_at, ApprovalRow.position, ApprovalRow.id)
    return (await session.scalars(ordered.limit(limit))).all()


async def expired_approvals(session: AsyncSession, now: datetime, limit: int) -> Sequence[ApprovalRow]:
    """Fetch what nobody decided in time."""
    query = select(ApprovalRow).where(ApprovalRow.status == ApprovalStatus.PENDING, ApprovalRow.expires_at < now)
    return (await session.scalars(query.order_by(ApprovalRow.expires_at).limit(limit))).all()


async def cancel_pending(writing: LogTransaction, thread_id: str, *, by: str, run_id: str | None = None) -> int:
    """Give up a thread's pending approvals (or one run's), in the caller's transaction; how many there were."""
    now = utc_now()
    asked = {"thread": thread_id, "by": by, "now": now}
    given_up = (_GIVE_UP_ALL, asked) if run_id is None else (_GIVE_UP_RUN, {**asked, "run": run_id})
    rows = (await writing.session.execute(*given_up)).all()
    for turn_id in {row.turn_id for row in rows}:
        await writing.session.execute(_END_TURN, {"turn": turn_id, "now": now})
    for row in rows:
        await writing.log(
            thread_id, [decided_event(row.id, row.tool_call_id, ApprovalStatus.CANCELLED, by)], run_id=row.run_id
        )
    return len(rows)


def decided_event(approval_id: str, tool_call_id: str, decision: str, by: str) -> NewEvent:
    """Say in the log how an approval went."""
    data = {"approval_id": approval_id, "tool_call_id": tool_call_id, "decision": str(decision), "by": by}
    return NewEvent("approval.decided", data)
