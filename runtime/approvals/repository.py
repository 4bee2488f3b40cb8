"""Rows of approvals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ...core.errors import NotFound
from ...core.types import ApprovalStatus, Principal, RunStatus, utc_now
from ...store.eventlog import LogTransaction
from ...store.models import ApprovalRow, ThreadRow, TurnRow
from ...store.records import NewEvent
from ..scope import bound, mine, mine_bound

_MINE = select(ApprovalRow).where(ApprovalRow.id == bindparam("id"), mine_bound(ApprovalRow))
_ASKED = aliased(ApprovalRow)
_RUN_OF = select(_ASKED.run_id).where(_ASKED.id == bindparam("id"), mine_bound(_ASKED))
_SIBLINGS = (
    select(ApprovalRow)
    .where(ApprovalRow.run_id == _RUN_OF.scalar_subquery())
    .order_by(ApprovalRow.interrupt_id, ApprovalRow.position)
)
_THREAD_OF = select(_ASKED.thread_id).where(_ASKED.id == bindparam("id")).scalar_subquery()
_LOCK = select(ThreadRow.id).where(ThreadRow.id == _THREAD_OF).with_for_update(key_share=True)


async def asked_together(writing: LogTransaction, principal: Principal, approval_id: str) -> Sequence[ApprovalRow]:
    """Fetch everything that an approval's run asked, in the order it asked, with the thread locked.

    Raises:
        NotFound: There is no such approval of this principal's.
    """
    if writing.locks_rows:
        await writing.session.execute(_LOCK, {"id": approval_id})
    asked = bound(principal, id=approval_id)
    rows = (await writing.session.scalars(_SIBLINGS, asked)).all()
    if not rows:
        raise NotFound("There is no such approval")
    return rows


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
    given_up = (
        update(ApprovalRow)
        .where(ApprovalRow.thread_id == thread_id, ApprovalRow.status == ApprovalStatus.PENDING)
        .values(status=ApprovalStatus.CANCELLED, decided_by=by, decided_at=utc_now())
        .returning(ApprovalRow.id, ApprovalRow.tool_call_id, ApprovalRow.run_id, ApprovalRow.turn_id)
        .execution_options(synchronize_session=False)
    )
    if run_id is not None:
        given_up = given_up.where(ApprovalRow.run_id == run_id)
    rows = (await writing.session.execute(given_up)).all()
    turns = {row.turn_id for row in rows}
    if turns:
        ended = update(TurnRow).where(TurnRow.id.in_(turns))
        await writing.session.execute(ended.values(status=RunStatus.INTERRUPTED, ended_at=utc_now()))
    for row in rows:
        await writing.log(
            thread_id, [decided_event(row.id, row.tool_call_id, ApprovalStatus.CANCELLED, by)], run_id=row.run_id
        )
    return len(rows)


def decided_event(approval_id: str, tool_call_id: str, decision: str, by: str) -> NewEvent:
    """Say in the log how an approval went."""
    data = {"approval_id": approval_id, "tool_call_id": tool_call_id, "decision": str(decision), "by": by}
    return NewEvent("approval.decided", data)
