"""Making a run: what it is of, where it stands in its thread's queue, and its row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from sqlalchemy.exc import IntegrityError

from ...core.errors import Conflict, Forbidden, NotFound
from ...core.types import Principal, RunStatus, ThreadStatus, utc_now
from ...store.eventlog import LogTransaction
from ...store.models import RunRow, ThreadRow
from ...store.records import NewEvent
from ...store.rows import insert_rows
from ...store.wakeups import Wakeups
from ..graphs.registry import GraphRegistry
from ..runs.execution import DISPLACED, ROLLED_BACK
from ..runs.queue import Queue
from ..threads.repository import get_thread, new_thread
from ..webhooks.service import WebhookService
from .accepting import Configured, row_of
from .inputs import keyed
from .repository import ask_to_stop, drop_pending, inflight
from .schemas import AgentRun, RunRequest

BUSY: Final = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
NO_THREAD: Final = "Thread or assistant not found."
ROLLBACK: Final = "rollback"
APPROVES: Final = "approvals:write"
_ACTIONS: Final = {ROLLBACK: ROLLED_BACK, "interrupt": DISPLACED}
"""What each strategy does to the run in the way."""


class Assistants(Protocol):
    """Finds what a run is of."""

    async def resolve(self, principal: Principal, assistant_id: str) -> Configured:
        """Find by id or by a graph's name."""
        ...


@dataclass(frozen=True, kw_only=True)
class Made:
    """A run that was made.

    Attributes:
        run: On the wire.
        after: The thread's last `seq` before anything of this run was logged.
    """

    run: AgentRun
    after: int


class RunMaker:
    """Stores runs.

    Args:
        queue: Takes them.
        wakeups: Stops what is in the way, wherever that executes.
        assistants: What a run is of.
        graphs: Know what clients may write.
        webhooks: Refuses those that would not be called.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        wakeups: Wakeups,
        assistants: Assistants,
        graphs: GraphRegistry,
        webhooks: WebhookService,
    ) -> None:
        self._queue = queue
        self._wakeups = wakeups
        self._assistants = assistants
        self._graphs = graphs
        self._webhooks = webhooks

    async def make(self, principal: Principal, thread_id: str | None, request: RunRequest) -> Made:
        """Store a run; it starts at once, behind others, or later, as the request says.

        Args:
            principal: Whose it is.
            thread_id: None makes a thread for this run alone.
            request: What is asked.

        Raises:
            NotFound: There is no such thread or assistant of this principal's.
            Conflict: The thread is busy and the strategy is `reject`.
            InvalidInput: The request asks for something that is not to be had.
            Forbidden: It writes what the graphs keep to themselves.
        """
        assistant = await self._assistants.resolve(principal, request.assistant_id)
        self._graphs.check_written(request.input)
        self._graphs.check_steered(request.command.model_dump() if request.command is not None else None)
        if self._graphs.guarded and request.command is not None and "resume" in request.command.model_fields_set:
            _may_approve(principal)
        if request.webhook is not None:
            await self._webhooks.check(request.webhook)
        try:
            return await self._make(principal, thread_id, assistant, request)
        except IntegrityError:  # somebody made a thread of this id: just now, or it is not this principal's to see
            found = request.model_copy(update={"if_not_exists": "reject"})
            return await self._make(principal, thread_id, assistant, found)

    async def _make(
        self, principal: Principal, thread_id: str | None, assistant: Configured, request: RunRequest
    ) -> Made:
        stopped: list[str] = []
        async with self._queue.entry() as (writing, entry):
            thread, fresh = await self._thread(writing, principal, thread_id, request)
            active = {} if fresh else await inflight(writing.session, thread.id)
            if active:
                stopped = await self._make_room(writing, thread, active, request.multitask_strategy)
                active = await inflight(writing.session, thread.id)
            row = row_of(principal, thread, assistant, request, temporary=thread_id is None)
            after = thread.last_seq
            await _occupy(writing, thread, row, fresh=fresh)
            await entry.insert(row, free=not active and row.not_before is None)
        for run_id in stopped:
            self._wakeups.cancel(run_id)
        return Made(run=AgentRun.model_validate(row), after=after)

    async def _thread(
        self, writing: LogTransaction, principal: Principal, thread_id: str | None, request: RunRequest
    ) -> tuple[ThreadRow, bool]:
        if thread_id is None:
            return new_thread(principal), True
        try:
            thread = await get_thread(writing.session, principal, thread_id, lock=True)
        except NotFound:
            if request.if_not_exists != "create":
                raise NotFound(NO_THREAD) from None
            return new_thread(principal, thread_id=thread_id), True
        if thread.workspace_id is not None:
            raise Conflict(f"This thread belongs to a workspace; its turns start at /api/v1/threads/{thread_id}/runs")
        return thread, False

    async def _make_room(
        self, writing: LogTransaction, thread: ThreadRow, active: Mapping[str, str], strategy: str
    ) -> list[str]:
        """Apply the strategy to what is in the way; the runs that must be told to stop."""
        if strategy == "reject":
            raise Conflict(BUSY, code="thread_busy")
        if strategy == "enqueue":
            return []
        waiting = [run_id for run_id, status in active.items() if status == RunStatus.PENDING]
        for run_id in waiting:
            if await drop_pending(writing.session, run_id, delete_row=strategy == ROLLBACK):
                await log_dropped(writing, thread.id, run_id, strategy)
        return list(await ask_to_stop(writing.session, list(active), _ACTIONS[strategy]))


def _may_approve(principal: Principal) -> None:
    """An answer to one of our own graphs decides what runs, so it needs what the approvals' own route needs."""
    if APPROVES not in principal.scopes:
        raise Forbidden(f"To answer what these graphs ask needs the permission {APPROVES}.")


async def _occupy(writing: LogTransaction, thread: ThreadRow, row: RunRow, *, fresh: bool) -> None:
    """Note the run on its thread, which is busy from now on, unless the run starts later."""
    thread.meta = {**thread.meta, "graph_id": row.graph_id, "assistant_id": row.assistant_id}
    if row.not_before is None:
        thread.status, thread.updated_at = ThreadStatus.BUSY, utc_now()
    if fresh:
        await insert_rows(writing.session, thread)
    else:
        await writing.session.flush()
    if row.kwargs and row.kwargs.get("command"):
        row.kwargs = {**row.kwargs, "command": keyed(row.kwargs["command"], thread.interrupts)}


async def log_dropped(
    writing: LogTransaction, thread_id: str, run_id: str, action: str, *, alone: str | None = None
) -> None:
    """Say in the log that a run ended before it began.

    Args:
        writing: The transaction that ends it.
        thread_id: Of the run.
        run_id: Of the run.
        action: What was asked for.
        alone: Its graph, if no other run of the thread is in flight: then a client that follows the thread waits for
            this one, and is told.
    """
    reason = "rollback" if action == ROLLBACK else "cancelled"
    finished: dict[str, Any] = {"status": RunStatus.INTERRUPTED.value, "reason": reason}
    if alone:
        finished |= {"graph_id": alone, "unbegun": True}
    await writing.log(thread_id, [NewEvent("run.finished", finished)], run_id=run_id)
