"""Rows of approvals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import ApprovalStatus, Principal, RunStatus, utc_now
from ...store.eventlog import LogTransaction, NewEvent
from ...store.models import ApprovalRow, TurnRow
from ..scope import mine


async def get_approval(session: AsyncSession, principal: Principal, approval_id: str) -> ApprovalRow:
    """Fetch one; `NotFound` when there is none of this principal's."""
    query = select(ApprovalRow).where(ApprovalRow.id == approval_id, mine(ApprovalRow, principal))
    row = (await session.scalars(query)).one_or_none()
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


async def approvals_of_run(session: AsyncSession, run_id: str) -> Sequence[ApprovalRow]:
    """Fetch everything that one run asked, in the order it asked."""
    query = select(ApprovalRow).where(ApprovalRow.run_id == run_id)
    return (await session.scalars(query.order_by(ApprovalRow.interrupt_id, ApprovalRow.position))).all()


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
