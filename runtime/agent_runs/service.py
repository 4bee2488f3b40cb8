"""Make, read, stop and await runs of graphs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from ...core.errors import Conflict, NotFound
from ...core.types import Principal, RunStatus, ThreadStatus, utc_now
from ...store.eventlog import EventLog, LogTransaction
from ...store.models import RunRow, ThreadRow
from ...store.records import LoggedEvent
from ...store.wakeups import Wakeups
from ..runs.execution import ROLLED_BACK, Execution
from ..runs.executor import Executor
from ..runs.repository import GRAPH, get_run
from ..threads.repository import get_thread
from .ending import LINGER
from .making import Made, RunMaker
from .repository import active_of, ask_to_stop, drop_pending, inflight, runs_of, unfinished
from .room import ROLLBACK, log_dropped
from .schemas import AgentRun, RunRequest
from .values import Values, error_of


class AgentRuns:
    """Runs of graphs, for one principal at a time.

    Args:
        log: The event log.
        maker: Stores new runs.
        wakeups: Stops what executes, wherever that is.
        executor: Knows the runs that execute here.
        values: Reads a thread's values.
    """

    def __init__(self, *, log: EventLog, maker: RunMaker, wakeups: Wakeups, executor: Executor, values: Values) -> None:
        self._log = log
        self._maker = maker
        self._wakeups = wakeups
        self._executor = executor
        self._values = values

    async def create(self, principal: Principal, thread_id: str | None, request: RunRequest) -> AgentRun:
        """Make a run; see `make`."""
        return (await self._maker.make(principal, thread_id, request)).run

    async def make(self, principal: Principal, thread_id: str | None, request: RunRequest) -> Made:
        """Make a run; see `RunMaker.make`."""
        return await self._maker.make(principal, thread_id, request)

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

    async def result(self, principal: Principal, made: Made) -> Any:
        """As `join`, for a run that this principal has just made."""
        local = await self._begun_here(made)
        if local is not None and (told := await self._told_here(local)) is not None:
            return told[0]
        return await self.join(principal, str(made.run.thread_id), str(made.run.run_id))

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
        """Name the thread's runs that are not over."""
        async with self._log.database.read() as session:
            await get_thread(session, principal, thread_id)
            return await unfinished(session, thread_id)

    async def page(
        self, principal: Principal, thread_id: str, *, limit: int = 10, offset: int = 0, status: str | None = None
    ) -> list[AgentRun]:
        """List a thread's runs, newest first."""
        async with self._log.database.read() as session:
            await get_thread(session, principal, thread_id)
            rows = await runs_of(session, principal, thread_id, status=status, window=(limit, offset))
        return [AgentRun.model_validate(row) for row in rows]

    async def _row(self, principal: Principal, thread_id: str, run_id: str, *, gone: RunRow | None = None) -> RunRow:
        async with self._log.database.read() as session:
            try:
                return await get_run(session, principal, thread_id, run_id)
            except NotFound:
                if gone is None:
                    raise
                return gone

    async def _begun_here(self, made: Made) -> Execution | None:
        """Wait for a new run's delivery in this process; None when something else becomes of it."""
        run_id = str(made.run.run_id)
        local = self._executor.execution(run_id)
        if local is not None or not self._executor.claims:
            return local
        with self._executor.expected(run_id) as begun:
            stirring = asyncio.create_task(self._log.stirs(str(made.run.thread_id), made.after))
            try:
                either: set[asyncio.Future[Any]] = {begun, stirring}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                stirring.cancel()
            return begun.result() if begun.done() else None

    async def _told_here(self, execution: Execution) -> tuple[Any] | None:
        """The result of a run that executes in this process; None when it goes elsewhere."""
        try:
            ending = await asyncio.shield(execution.ended)
        except asyncio.CancelledError:
            if execution.ended.cancelled():
                return None
            raise
        if ending.reason == ROLLED_BACK:
            return None  # the state is what it was before
        if ending.error is not None:
            return (error_of(ending.error),)
        return (self._values.shown(getattr(execution.work, "rest", None)),)

    async def _finished(self, thread_id: str, run_id: str) -> None:
        """Wait for the record of its end; what it said until now is not read for that."""
        with suppress(NotFound):  # the thread was deleted meanwhile
            _, head = await self._log.head(thread_id)
            async for _ in self._log.tail(thread_id, head, run_id):
                pass

    async def _drop(self, writing: LogTransaction, thread: ThreadRow, row: RunRow, action: str) -> bool:
        """End a run that was not claimed yet; the thread rests if nothing else is in flight."""
        if row.kind != GRAPH:  # a turn ends with its run, and only its driver knows how
            return False
        if not await drop_pending(writing.session, row.id, delete_row=action == ROLLBACK):
            return False
        writing.session.expunge(row)
        alone = not await inflight(writing.session, thread.id)
        await log_dropped(writing, thread.id, row.id, action, alone=str(row.graph_id) if alone else None)
        if alone and thread.status == ThreadStatus.BUSY:
            failed = ThreadStatus.ERROR if thread.error else ThreadStatus.IDLE
            thread.status = ThreadStatus.INTERRUPTED if thread.interrupts else failed
        if alone and row.kwargs and row.kwargs.get("temporary"):
            thread.expires_at = utc_now() + LINGER
        await writing.session.flush()
        return True
