"""Make, read, stop and await runs of graphs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Protocol

from ...core.errors import Conflict, NotFound
from ...core.types import Principal, RunStatus, ThreadStatus, new_id, utc_now
from ...store.eventlog import EventLog, LogTransaction
from ...store.models import RunRow, ThreadRow
from ...store.records import LoggedEvent, NewEvent
from ...store.rows import insert_rows
from ...store.wakeups import Wakeups
from ..runs.execution import Execution
from ..runs.executor import Executor
from ..runs.queue import Entry, Queue
from ..runs.repository import GRAPH, get_run, new_run
from ..threads.repository import get_thread, new_thread
from ..webhooks.service import WebhookService
from .inputs import keyed
from .repository import active_of, ask_to_stop, drop_pending, inflight, runs_of
from .schemas import AgentRun, RunRequest
from .values import Values, error_of

BUSY: Final = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
NO_THREAD: Final = "Thread or assistant not found."
_ROLLBACK: Final = "rollback"


class Configured(Protocol):
    """What a run is of: a graph with a configuration."""

    @property
    def assistant_id(self) -> Any:
        """The assistant."""
        ...

    @property
    def graph_id(self) -> str:
        """Its graph."""
        ...

    @property
    def config(self) -> dict[str, Any]:
        """What the run's own config is merged into."""
        ...

    @property
    def context(self) -> dict[str, Any]:
        """What the run's own context is merged into."""
        ...


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


class AgentRuns:
    """Runs of graphs, for one principal at a time.

    Args:
        log: The event log.
        queue: Takes new runs.
        wakeups: Stops what executes, wherever that is.
        executor: Knows the runs that execute here.
        assistants: What a run is of.
        values: Reads a thread's values.
        webhooks: Refuses those that would not be called.
    """

    def __init__(
        self,
        *,
        log: EventLog,
        queue: Queue,
        wakeups: Wakeups,
        executor: Executor,
        assistants: Assistants,
        values: Values,
        webhooks: WebhookService,
    ) -> None:
        self._log = log
        self._queue = queue
        self._wakeups = wakeups
        self._executor = executor
        self._assistants = assistants
        self._values = values
        self._webhooks = webhooks

    async def create(self, principal: Principal, thread_id: str | None, request: RunRequest) -> AgentRun:
        """Make a run; see `make`."""
        return (await self.make(principal, thread_id, request)).run

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
        """
        assistant = await self._assistants.resolve(principal, request.assistant_id)
        if request.webhook is not None:
            await self._webhooks.check(request.webhook)
        stopped: list[str] = []
        async with self._queue.entry() as (writing, entry):
            thread, fresh = await self._thread(writing, principal, thread_id, request)
            active = {} if fresh else await inflight(writing.session, thread.id)
            if active:
                stopped = await self._make_room(writing, thread, active, request.multitask_strategy)
                active = {} if not stopped and request.multitask_strategy in {"interrupt", _ROLLBACK} else active
            row = _row(principal, thread, assistant, request, temporary=thread_id is None)
            after = thread.last_seq
            await self._insert(writing, entry, row, thread, fresh=fresh, free=not active)
        for run_id in stopped:
            self._wakeups.cancel(run_id)
        return Made(run=AgentRun.model_validate(row), after=after)

    async def get(self, principal: Principal, thread_id: str, run_id: str) -> AgentRun:
        """Fetch one; `NotFound` when there is none of this principal's."""
        return AgentRun.model_validate(await self._row(principal, thread_id, run_id))

    async def delete(self, principal: Principal, thread_id: str, run_id: str) -> None:
        """Forget a finished run; its thread's state stays.

        Raises:
            Conflict: It is not finished.
        """
        async with self._log.transaction() as writing:
            await get_thread(writing.session, principal, thread_id, lock=True)
            row = await get_run(writing.session, principal, thread_id, run_id)
            if row.status in {RunStatus.RUNNING, RunStatus.PENDING}:
                raise Conflict("The run is not finished; cancel it first")
            await writing.session.delete(row)

    async def cancel(
        self, principal: Principal, thread_id: str, run_id: str, *, wait: bool = False, action: str = "interrupt"
    ) -> None:
        """Stop a run: keep what it did (`interrupt`) or undo it (`rollback`).

        With `wait` the answer comes when the run has stopped; it never says so before.

        Raises:
            NotFound: There is no such run, or it is finished.
        """
        async with self._log.transaction() as writing:
            thread = await get_thread(writing.session, principal, thread_id, lock=True)
            row = await get_run(writing.session, principal, thread_id, run_id)
            if await self._drop(writing, thread, row, action):
                return
            if not await ask_to_stop(writing.session, [run_id], action):
                raise NotFound("The run is finished; there is nothing to cancel")
        self._wakeups.cancel(run_id)
        if wait:
            await self._finished(thread_id, run_id)

    async def cancel_many(
        self,
        principal: Principal,
        *,
        status: str | None,
        thread_id: str | None,
        run_ids: Sequence[str] | None,
        action: str,
    ) -> None:
        """Stop those runs of a thread, or all of the principal's that have the status (`pending`, `running`, `all`).

        Raises:
            NotFound: None of them is the principal's and active.
        """
        async with self._log.database.read() as session:
            found = await active_of(session, principal, status=status, thread_id=thread_id, run_ids=run_ids)
        if not found:
            raise NotFound("No such runs are active")
        for run_id, thread in found.items():
            with suppress(NotFound):  # finished meanwhile
                await self.cancel(principal, thread, run_id, action=action)

    async def join(self, principal: Principal, thread_id: str, run_id: str) -> Any:
        """Wait for a run's end; its final values, or `{"__error__": …}`."""
        row = await self._row(principal, thread_id, run_id)
        if row.status in {RunStatus.RUNNING, RunStatus.PENDING}:
            local = self._executor.execution(run_id)
            if local is not None and (told := await self._told_here(local)) is not None:
                return told[0]
            await self._finished(thread_id, run_id)
            row = await self._row(principal, thread_id, run_id, gone=row)
        return error_of(row.error) if row.error else await self._values.of(principal, thread_id)

    def events(self, thread_id: str, *, after: int = 0, run_id: str | None = None) -> AsyncGenerator[LoggedEvent, None]:
        """Replay and follow the records of a thread or of one run; access is the caller's to check."""
        return self._log.tail(thread_id, after, run_id)

    async def active(self, principal: Principal, thread_id: str) -> Mapping[str, str]:
        """Name the thread's runs that run or are due."""
        async with self._log.database.read() as session:
            await get_thread(session, principal, thread_id)
            return await inflight(session, thread_id)

    async def page(
        self, principal: Principal, thread_id: str, *, limit: int = 10, offset: int = 0, status: str | None = None
    ) -> list[AgentRun]:
        """List a thread's runs, newest first."""
        async with self._log.database.read() as session:
            await get_thread(session, principal, thread_id)
            rows = await runs_of(session, principal, thread_id, status=status, limit=limit, offset=offset)
        return [AgentRun.model_validate(row) for row in rows]

    async def _row(self, principal: Principal, thread_id: str, run_id: str, *, gone: RunRow | None = None) -> RunRow:
        async with self._log.database.read() as session:
            try:
                return await get_run(session, principal, thread_id, run_id)
            except NotFound:
                if gone is None:
                    raise
                return gone

    async def _told_here(self, execution: Execution) -> tuple[Any] | None:
        """The result of a run that executes in this process; None when it goes elsewhere."""
        try:
            ending = await asyncio.shield(execution.ended)
        except asyncio.CancelledError:
            if execution.ended.cancelled():
                return None
            raise
        if ending.error is not None:
            return (error_of(ending.error),)
        return (self._values.shown(getattr(execution.work, "rest", None)),)

    async def _finished(self, thread_id: str, run_id: str) -> None:
        async for _ in self._log.tail(thread_id, 0, run_id):
            pass

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
            if await drop_pending(writing.session, run_id, delete_row=strategy == _ROLLBACK):
                await _log_dropped(writing, thread.id, run_id, strategy)
        return list(await ask_to_stop(writing.session, list(active), strategy))

    async def _insert(
        self, writing: LogTransaction, entry: Entry, row: RunRow, thread: ThreadRow, *, fresh: bool, free: bool
    ) -> None:
        """Insert the run; its thread is busy from now on, unless the run starts later."""
        thread.meta = {**thread.meta, "graph_id": row.graph_id, "assistant_id": row.assistant_id}
        if row.not_before is None:
            thread.status, thread.updated_at = ThreadStatus.BUSY, utc_now()
        if fresh:
            await insert_rows(writing.session, thread)
        else:
            await writing.session.flush()
        if row.kwargs and row.kwargs.get("command"):
            row.kwargs = {**row.kwargs, "command": keyed(row.kwargs["command"], thread.interrupts)}
        await entry.insert(row, free=free and row.not_before is None)

    async def _drop(self, writing: LogTransaction, thread: ThreadRow, row: RunRow, action: str) -> bool:
        """End a run that was not claimed yet; the thread rests if nothing else is in flight."""
        if not await drop_pending(writing.session, row.id, delete_row=action == _ROLLBACK):
            return False
        writing.session.expunge(row)
        await _log_dropped(writing, thread.id, row.id, action)
        if not await inflight(writing.session, thread.id):
            thread.status = ThreadStatus.INTERRUPTED if thread.interrupts else ThreadStatus.IDLE
            await writing.session.flush()
        return True


async def _log_dropped(writing: LogTransaction, thread_id: str, run_id: str, action: str) -> None:
    reason = "rollback" if action == _ROLLBACK else "cancelled"
    finished = NewEvent("run.finished", {"status": RunStatus.INTERRUPTED.value, "reason": reason})
    await writing.log(thread_id, [finished], run_id=run_id)


def _row(
    principal: Principal, thread: ThreadRow, assistant: Configured, request: RunRequest, *, temporary: bool
) -> RunRow:
    later = request.after_seconds
    return new_run(
        principal,
        id=new_id(),
        thread_id=thread.id,
        kind=GRAPH,
        assistant_id=str(assistant.assistant_id),
        graph_id=assistant.graph_id,
        meta=request.metadata,
        kwargs=_kwargs(assistant, request, temporary=temporary and request.on_completion == "delete"),
        multitask_strategy=request.multitask_strategy,
        priority=request.priority,
        not_before=utc_now() + timedelta(seconds=later) if later else None,
    )


def _kwargs(assistant: Configured, request: RunRequest, *, temporary: bool) -> dict[str, Any]:
    """The request as it will be executed: the assistant's configuration is merged in now, not when the run starts."""
    asked, base = request.config, assistant.config
    configurable = {**(base.get("configurable") or {}), **(asked.get("configurable") or {})}
    merged = {**base, **asked, **({"configurable": configurable} if configurable else {})}
    kept = request.model_dump(
        mode="json",
        include={"stream_mode", "stream_subgraphs", "stream_resumable", "interrupt_before", "interrupt_after"}
        | {"input", "on_disconnect", "webhook", "feedback_keys", "strict_resume"},
    )
    command = request.command.model_dump(mode="json", exclude_unset=True) if request.command is not None else None
    return {
        **kept,
        "command": command,
        "config": merged,
        "context": {**assistant.context, **request.context},
        "durability": request.how_durable,
        "forks_from": request.forks_from,
        "protocol": request.protocol,
        "temporary": temporary,
    }
