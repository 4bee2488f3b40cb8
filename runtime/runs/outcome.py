"""How a run came to rest, and writing that down: one transaction for rows and log, under the run's lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from langchain_core.exceptions import ModelError
from langgraph.errors import GraphRecursionError
from langgraph.types import Interrupt
from sqlalchemy import String, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import CodeLabError
from ...core.types import ApprovalStatus, RunStatus, ThreadStatus, utc_now
from ...store.eventlog import LogTransaction
from ...store.lease import HELD, Lease
from ...store.models import ApprovalRow, RunRow, TurnRow
from ...store.models.base import table_of
from ...store.prepared import Transaction, prepared
from ...store.records import Move, NewEvent
from ...store.rows import insert_rows
from ..approvals.requests import rows_for
from ..approvals.schemas import Approval
from ..scope import owned_by, owner_of
from .engine import Ending

WAITS: Final = "approval"
_ERROR_CHARS: Final = 2_000


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and what its turn learned."""

    ending: Ending
    interrupts: Sequence[Interrupt] = ()
    usage: dict[str, int] = field(default_factory=dict)
    agent: str | None = None
    policy: dict[str, Any] | None = None

    @property
    def waits(self) -> bool:
        """Whether a person must decide before the turn goes on."""
        return self.ending.reason == WAITS

    @property
    def thread_status(self) -> ThreadStatus:
        """What the thread does from now on."""
        if self.waits:
            return ThreadStatus.INTERRUPTED
        failed = self.ending.status in {RunStatus.ERROR, RunStatus.TIMEOUT}
        return ThreadStatus.ERROR if failed else ThreadStatus.IDLE


def describe(exc: BaseException) -> dict[str, str]:
    """Name a failure by a stable code and a sentence."""
    if isinstance(exc, ModelError) and isinstance(exc.__cause__, CodeLabError):
        exc = exc.__cause__  # what the model gateway said, before it was put into LangChain's words
    if isinstance(exc, CodeLabError):
        return {"code": exc.code, "message": exc.message[:_ERROR_CHARS]}
    if isinstance(exc, GraphRecursionError):
        return {"code": "step_limit", "message": "The run took more graph steps than it may; say how to go on"}
    return {"code": "run_failed", "message": f"{type(exc).__name__}: {exc}"[:_ERROR_CHARS]}


async def settle(
    writing: LogTransaction, row: RunRow, outcome: Outcome, *, expiry: timedelta, said: Sequence[NewEvent] = ()
) -> list[Approval]:
    """Write the end of a run, after what was left to say, in the caller's transaction; the approvals it asks for.

    The update of the run's own row proves the lease: the row must still name this attempt of this owner.

    Raises:
        LostLease: It does not.
    """
    wanted = rows_for(outcome.interrupts, run=row, owner=owned_by(owner_of(row)), expiry=expiry)
    asked_again = await _asked_again(writing, row, outcome, wanted)
    approvals = [Approval.model_validate(each) for each in asked_again or wanted]
    events = [*said, *_last_words(outcome, approvals)]
    move = Move(outcome.thread_status, outcome.agent)
    await writing.log(row.thread_id, events, run_id=row.id, attempt=row.attempt, move=move)
    await _end(writing.session, row, outcome)
    if wanted and not asked_again:
        await insert_rows(writing.session, *wanted)
    return approvals


def _last_words(outcome: Outcome, approvals: Sequence[Approval]) -> list[NewEvent]:
    asked = [approval.model_dump(mode="json") for approval in approvals]
    ending = outcome.ending
    ended: dict[str, Any] = {"status": ending.status.value}
    if ending.reason is not None:
        ended["reason"] = ending.reason
    if ending.error is not None:
        ended["error"] = ending.error
    if asked:
        ended["interrupts"] = asked
    if outcome.usage:
        ended["usage"] = outcome.usage
    events = [NewEvent("approval.requested", {"approval": approval}) for approval in asked]
    return [*events, NewEvent("run.finished", ended)]


_RUNS: Final = table_of(RunRow)
_TURNS: Final = table_of(TurnRow)
_ENDED: Final = ("status", "reason", "error", "usage", "ended_at", "updated_at")
_END_RUN: Final = prepared(
    _RUNS.update().where(HELD).values({name: bindparam(f"new_{name}") for name in _ENDED}).returning(_RUNS.c.id)
)
_END_TURN: Final = prepared(
    _TURNS.update()
    .where(_TURNS.c.id == bindparam("turn"))
    .values(
        status=bindparam("new_status"),
        ended_at=bindparam("new_ended_at"),
        agent=func.coalesce(bindparam("new_agent", type_=String), _TURNS.c.agent),
        policy=func.coalesce(bindparam("new_policy", type_=_TURNS.c.policy.type), _TURNS.c.policy),
    )
)


async def _end(session: Transaction, row: RunRow, outcome: Outcome) -> None:
    now = utc_now()
    ended = {
        "new_status": outcome.ending.status.value,
        "new_reason": outcome.ending.reason,
        "new_error": outcome.ending.error,
        "new_usage": outcome.usage or None,
        "new_ended_at": now,
        "new_updated_at": now,
    }
    await Lease(row.id, row.attempt, row.owner or "").prove(session, _END_RUN, **ended)
    turn = {
        "turn": row.turn_id,
        "new_status": outcome.ending.status.value,
        "new_ended_at": None if outcome.waits else now,
        "new_agent": outcome.agent,
        "new_policy": outcome.policy,
    }
    await session.execute(_END_TURN, turn)


def may_ask_again(row: RunRow, outcome: Outcome) -> bool:
    """Whether what a run asks may stand already; a new turn's first delivery cannot have asked before."""
    return bool(outcome.interrupts) and (row.attempt > 1 or row.resume is not None)


async def _asked_again(
    writing: LogTransaction, row: RunRow, outcome: Outcome, wanted: Sequence[ApprovalRow]
) -> list[ApprovalRow]:
    """The rows that stand already: a question whose answer was lost waits once more. New ones have none."""
    if not may_ask_again(row, outcome):
        return []
    await writing.lock(row.thread_id)
    known = {
        (old.interrupt_id, old.tool_call_id): old for old in await _standing(writing.session, row.thread_id, wanted)
    }
    if not known:
        return []
    asked = []
    for new in wanted:
        old = known.get((new.interrupt_id, new.tool_call_id))
        if old is None:
            writing.session.add(new)
        else:
            _reopen(old, new)
        asked.append(new if old is None else old)
    await writing.session.flush()
    return asked


async def _standing(session: AsyncSession, thread_id: str, wanted: Sequence[ApprovalRow]) -> Sequence[ApprovalRow]:
    ids = {row.interrupt_id for row in wanted}
    query = select(ApprovalRow).where(ApprovalRow.thread_id == thread_id, ApprovalRow.interrupt_id.in_(ids))
    return (await session.scalars(query)).all()


def _reopen(old: ApprovalRow, new: ApprovalRow) -> None:
    old.run_id, old.expires_at, old.status = new.run_id, new.expires_at, ApprovalStatus.PENDING
    old.decision = old.message = old.decided_by = old.decided_at = old.edited_args = None
