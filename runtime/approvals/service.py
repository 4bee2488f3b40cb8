"""Read and decide approvals. When all of a run's are decided, the turn goes on in a new run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ...core.errors import Conflict, InvalidInput, NotFound
from ...core.events import ApprovalDecided, EventBus
from ...core.types import ApprovalStatus, DecisionKind, Principal, ThreadStatus, utc_now
from ...store.eventlog import LogTransaction
from ...store.models import ApprovalRow
from ...store.records import Move
from ...store.texts import clean_text
from ..runs.queue import Entry, Queue
from ..runs.repository import new_run, settings_of
from ..scope import owner_of
from .repository import approvals_of, asked_together, decided_event, expired_approvals, get_approval, save_decision
from .requests import EXPIRED_TEXT, resume_for
from .schemas import Approval

CLOCK: Final = "clock"
_BATCH: Final = 50
_BECOMES = {
    DecisionKind.APPROVE: ApprovalStatus.APPROVED,
    DecisionKind.EDIT: ApprovalStatus.EDITED,
    DecisionKind.REJECT: ApprovalStatus.REJECTED,
    DecisionKind.RESPOND: ApprovalStatus.RESPONDED,
}


class ApprovalService:
    """What people decide.

    Args:
        queue: Takes the runs that go on; through it the event log and the database.
        bus: Told of every decision.
    """

    def __init__(self, *, queue: Queue, bus: EventBus) -> None:
        self._queue = queue
        self._log = queue.log
        self._bus = bus

    async def list(
        self,
        principal: Principal,
        *,
        status: ApprovalStatus | None = None,
        thread_id: str | None = None,
        limit: int = 200,
    ) -> list[Approval]:
        """List approvals, oldest first."""
        async with self._log.database.read() as session:
            rows = await approvals_of(session, principal, status=status, thread_id=thread_id, limit=limit)
        return [Approval.model_validate(row) for row in rows]

    async def get(self, principal: Principal, approval_id: str) -> Approval:
        """Fetch one; `NotFound` when there is none of this principal's."""
        async with self._log.database.read() as session:
            return Approval.model_validate(await get_approval(session, principal, approval_id))

    async def decide(
        self,
        principal: Principal,
        approval_id: str,
        decision: str,
        *,
        arguments: dict[str, Any] | None = None,
        message: str | None = None,
    ) -> tuple[Approval, bool]:
        """Decide one call; the approval, and whether this very decision stood already.

        Args:
            principal: Who decides.
            approval_id: What is decided.
            decision: `approve`, `edit` (with `arguments`), `reject` or `respond` (with `message`).
            arguments: The call's new arguments; validated again where the tool runs.
            message: A word to the agent; its answer when responding.

        Raises:
            InvalidInput: `invalid_decision`: not allowed here, or its parts do not fit.
            Conflict: `approval_already_decided` otherwise, or `approval_expired`.
        """
        message = clean_text(message) if message else None
        async with self._queue.entry() as (writing, entry):
            asked = await asked_together(writing, principal, approval_id)
            row = next(each for each in asked if each.id == approval_id)
            if row.status != ApprovalStatus.PENDING:
                return _replayed(row, decision, arguments, message), True
            kind = _checked(row, decision, arguments, message)
            row.status, row.decision = _BECOMES[kind], kind
            row.edited_args, row.message = arguments, message
            row.decided_by, row.decided_at = principal.user_id, utc_now()
            await self._settle((writing, entry), asked, row, by=principal.user_id)
        await self._tell(row, kind, principal.user_id)
        return Approval.model_validate(row), False

    async def expire(self) -> int:
        """Let the clock decide what nobody did in time (a rejection); how many."""
        async with self._log.database.read() as session:
            late = await expired_approvals(session, utc_now(), _BATCH)
        for row in late:
            await self._expire(owner_of(row), row.id)
        return len(late)

    async def _expire(self, principal: Principal, approval_id: str) -> None:
        try:
            async with self._queue.entry() as (writing, entry):
                asked = await asked_together(writing, principal, approval_id)
                row = next(each for each in asked if each.id == approval_id)
                if row.status != ApprovalStatus.PENDING:
                    return
                row.status, row.message = ApprovalStatus.EXPIRED, EXPIRED_TEXT
                row.decided_by, row.decided_at = CLOCK, utc_now()
                await self._settle((writing, entry), asked, row, by=CLOCK)
        except NotFound:
            return  # deleted meanwhile
        await self._tell(row, ApprovalStatus.EXPIRED, CLOCK)

    async def _settle(
        self, opened: tuple[LogTransaction, Entry], asked: Sequence[ApprovalRow], row: ApprovalRow, *, by: str
    ) -> None:
        """Log the decision; when it was the run's last, queue the run that goes on. The caller's transaction."""
        writing, entry = opened
        await save_decision(writing.session, row)
        event = decided_event(row.id, row.tool_call_id, row.decision or row.status, by)
        waits = any(other.status == ApprovalStatus.PENDING for other in asked)
        await writing.log(row.thread_id, [event], run_id=row.run_id, move=None if waits else Move(ThreadStatus.BUSY))
        if waits:
            return
        settings, scopes = await settings_of(writing.session, row.run_id)
        resumed = new_run(
            owner_of(row),
            thread_id=row.thread_id,
            turn_id=row.turn_id,
            settings=settings,
            scopes=scopes,  # who decides lends the run nothing
            resume=resume_for(asked),
            resumes_run_id=row.run_id,
        )
        await entry.insert(resumed)

    async def _tell(self, row: ApprovalRow, decision: str, by: str) -> None:
        await self._bus.publish(
            ApprovalDecided(
                approval_id=row.id,
                decision=str(decision),
                by=by,
                thread_id=row.thread_id,
                turn_id=row.turn_id,
                run_id=row.run_id,
                user_id=row.owner_id,
                tenant_id=row.tenant_id,
                agent=row.agent,
            )
        )


def _checked(row: ApprovalRow, decision: str, arguments: dict[str, Any] | None, message: str | None) -> DecisionKind:
    if row.expires_at is not None and row.expires_at <= utc_now():
        raise Conflict("Nobody decided this in time; it counts as rejected", code="approval_expired")
    if decision not in row.allowed:
        raise _invalid(f"This may be answered by {', '.join(row.allowed)}, not by {decision!r}")
    kind = DecisionKind(decision)
    if (kind is DecisionKind.EDIT) != (arguments is not None):
        raise _invalid("`arguments` go with `edit`, and only with it")
    if kind is DecisionKind.RESPOND and not message:
        raise _invalid("`respond` needs a `message`")
    return kind


def _replayed(row: ApprovalRow, decision: str, arguments: dict[str, Any] | None, message: str | None) -> Approval:
    if row.status == ApprovalStatus.EXPIRED:
        raise Conflict("Nobody decided this in time; it counts as rejected", code="approval_expired")
    same = row.decision == decision and row.edited_args == arguments
    if decision == DecisionKind.RESPOND:
        same = same and row.message == message
    if not same:
        raise Conflict(
            f"This was already decided: {row.decision or row.status}",
            code="approval_already_decided",
            status_now=row.status,
        )
    return Approval.model_validate(row)


def _invalid(why: str) -> InvalidInput:
    return InvalidInput(why, code="invalid_decision")
