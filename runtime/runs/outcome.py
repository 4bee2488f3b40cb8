"""How a run came to rest, and writing that down: one transaction for rows and log, under the run's lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast

from langgraph.errors import GraphRecursionError
from langgraph.types import Interrupt
from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import CodeLabError
from ...core.types import ApprovalStatus, RunStatus, ThreadStatus, utc_now
from ...store.eventlog import LogTransaction, NewEvent
from ...store.models import ApprovalRow, Base, RunRow, ThreadRow, TurnRow
from ..approvals.requests import rows_for
from ..approvals.schemas import Approval
from ..scope import owned_by, owner_of

WAITS: Final = "approval"
CANCELLED: Final = "cancelled"
_ERROR_CHARS: Final = 2_000


@dataclass(frozen=True)
class Outcome:
    """Where a run stands at its end, and what its turn learned."""

    status: RunStatus
    reason: str | None = None
    error: dict[str, str] | None = None
    interrupts: Sequence[Interrupt] = ()
    usage: dict[str, int] = field(default_factory=dict)
    agent: str | None = None
    policy: dict[str, Any] | None = None

    @property
    def waits(self) -> bool:
        """Whether a person must decide before the turn goes on."""
        return self.reason == WAITS

    @property
    def thread_status(self) -> ThreadStatus:
        """What the thread does from now on."""
        if self.waits:
            return ThreadStatus.INTERRUPTED
        failed = self.status in {RunStatus.ERROR, RunStatus.TIMEOUT}
        return ThreadStatus.ERROR if failed else ThreadStatus.IDLE


def describe(exc: BaseException) -> dict[str, str]:
    """Name a failure by a stable code and a sentence."""
    if isinstance(exc, CodeLabError):
        return {"code": exc.code, "message": exc.message[:_ERROR_CHARS]}
    if isinstance(exc, GraphRecursionError):
        return {"code": "step_limit", "message": "The run took more graph steps than it may; say how to go on"}
    return {"code": "run_failed", "message": f"{type(exc).__name__}: {exc}"[:_ERROR_CHARS]}


async def settle(
    writing: LogTransaction, row: RunRow, outcome: Outcome, *, expiry: timedelta, said: Sequence[NewEvent] = ()
) -> list[Approval]:
    """Write the end of a run, after what was left to say, in the caller's transaction; the approvals it asks for."""
    approvals = await _ask(writing.session, row, outcome, expiry)
    await _rows(writing.session, row, outcome)
    asked = [approval.model_dump(mode="json") for approval in approvals]
    ended: dict[str, Any] = {"status": outcome.status.value}
    if outcome.reason is not None:
        ended["reason"] = outcome.reason
    if outcome.error is not None:
        ended["error"] = outcome.error
    if asked:
        ended["interrupts"] = asked
    if outcome.usage:
        ended["usage"] = outcome.usage
    events = [NewEvent("approval.requested", {"approval": approval}) for approval in asked]
    await writing.log(
        row.thread_id, [*said, *events, NewEvent("run.finished", ended)], run_id=row.id, attempt=row.attempt
    )
    return approvals


async def _rows(session: AsyncSession, row: RunRow, outcome: Outcome) -> None:
    now = utc_now()
    run = {"status": outcome.status, "reason": outcome.reason, "error": outcome.error, "usage": outcome.usage or None}
    runs, turns, threads = (_table(kind) for kind in (RunRow, TurnRow, ThreadRow))
    await session.execute(runs.update().where(runs.c.id == row.id).values(ended_at=now, **run))
    turn: dict[str, Any] = {"status": outcome.status, "ended_at": None if outcome.waits else now}
    thread: dict[str, Any] = {"status": outcome.thread_status, "updated_at": now}
    if outcome.agent is not None:
        turn["agent"] = thread["agent"] = outcome.agent
    if outcome.policy is not None:
        turn["policy"] = outcome.policy
    await session.execute(turns.update().where(turns.c.id == row.turn_id).values(**turn))
    await session.execute(threads.update().where(threads.c.id == row.thread_id).values(**thread))


def _table(kind: type[Base]) -> Table:
    return cast("Table", kind.__table__)


async def _ask(session: AsyncSession, row: RunRow, outcome: Outcome, expiry: timedelta) -> list[Approval]:
    """Add what is asked. A key that stands already was asked again (its answer was lost): it waits once more."""
    if not outcome.interrupts:
        return []
    wanted = rows_for(outcome.interrupts, run=row, owner=owned_by(owner_of(row)), expiry=expiry)
    known = {(old.interrupt_id, old.tool_call_id): old for old in await _standing(session, row.thread_id, wanted)}
    asked = []
    for new in wanted:
        old = known.get((new.interrupt_id, new.tool_call_id))
        if old is None:
            session.add(new)
        else:
            _reopen(old, new)
        asked.append(new if old is None else old)
    await session.flush()
    return [Approval.model_validate(each) for each in asked]


async def _standing(session: AsyncSession, thread_id: str, wanted: Sequence[ApprovalRow]) -> Sequence[ApprovalRow]:
    ids = {row.interrupt_id for row in wanted}
    query = select(ApprovalRow).where(ApprovalRow.thread_id == thread_id, ApprovalRow.interrupt_id.in_(ids))
    return (await session.scalars(query)).all()


def _reopen(old: ApprovalRow, new: ApprovalRow) -> None:
    old.run_id, old.expires_at, old.status = new.run_id, new.expires_at, ApprovalStatus.PENDING
    old.decision = old.message = old.decided_by = old.decided_at = old.edited_args = None
