"""Start, read, cancel and await runs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import asdict, replace
from typing import Final

from ...core.context import RunSettings
from ...core.errors import Conflict, InvalidInput
from ...core.settings import AgentsSettings
from ...core.types import Principal, RunStatus, ThreadStatus, new_id, utc_now
from ...store.eventlog import EventLog, LogTransaction
from ...store.models import RunRow, ThreadRow, TurnRow
from ...store.records import Move, NewEvent
from ...store.texts import clean_text
from ...store.wakeups import Wakeups
from ..approvals.repository import cancel_pending
from ..scope import owned_by
from ..threads.repository import get_thread
from .limits import capped
from .queue import Entry, Queue
from .repository import ACTIVE, Ground, get_run, get_turn, ground_of, new_run, runs_of
from .schemas import Run
from .turns import ClaimedTurn

MAX_TEXT: Final = 400_000
_TITLE: Final = 80


class RunService:
    """Runs of one principal's threads.

    Args:
        log: The event log and, through it, the database.
        wakeups: Stops what executes.
        queue: Takes new runs.
        agents: Names that a message may ask for.
        limits: What a client's own limits are capped by.
    """

    def __init__(
        self, *, log: EventLog, wakeups: Wakeups, queue: Queue, agents: Collection[str], limits: AgentsSettings
    ) -> None:
        self._log = log
        self._wakeups = wakeups
        self._queue = queue
        self._agents = frozenset(agents)
        self._limits = limits

    async def start(self, principal: Principal, thread_id: str, *, text: str, settings: RunSettings) -> Run:
        """Store a person's message as a new turn with its first run, and wake the executor.

        A turn that waits for approvals is given up: they are cancelled and its messages are kept.

        Raises:
            InvalidInput: `unknown_agent`, or settings that make no sense; nothing was stored.
            Conflict: `thread_busy`: a run is pending or running.
        """
        text = clean_text(text)
        if not text.strip() or len(text) > MAX_TEXT:
            raise InvalidInput(f"A message needs between 1 and {MAX_TEXT} characters")
        allowed = capped(settings, agents=self._agents, limits=self._limits)
        async with self._queue.entry() as (writing, entry):
            await writing.lock(thread_id)
            ground = await ground_of(writing.session, principal, thread_id)
            if ground.workspace_id is None:
                raise Conflict("This thread has no workspace; start its runs under /threads", code="no_workspace")
            if ground.active_run is not None:
                raise Conflict("A run of this thread is not finished; wait for it or cancel it", code="thread_busy")
            if ground.status == ThreadStatus.INTERRUPTED:
                await cancel_pending(writing, thread_id, by=principal.user_id)
            turn = _turn(principal, thread_id, allowed)
            run = _first_run(principal, turn, ground, text=text, settings=allowed)
            await _store(entry, run, turn, ground)
            said = NewEvent("message.user", {"message_id": turn.message_id, "text": text})
            busy = Move(ThreadStatus.BUSY, title=text.strip().splitlines()[0][:_TITLE])
            await writing.log(thread_id, [said], run_id=run.id, move=busy)
        return Run.model_validate(run)

    async def get(self, principal: Principal, thread_id: str, run_id: str) -> Run:
        """Fetch one; `NotFound` when there is none of this principal's."""
        async with self._log.database.read() as session:
            return Run.model_validate(await get_run(session, principal, thread_id, run_id))

    async def list(self, principal: Principal, thread_id: str, *, limit: int = 50) -> list[Run]:
        """List a thread's runs, newest first."""
        async with self._log.database.read() as session:
            await get_thread(session, principal, thread_id)
            return [Run.model_validate(row) for row in await runs_of(session, principal, thread_id, limit)]

    async def cancel(self, principal: Principal, thread_id: str, run_id: str) -> Run:
        """Ask a run to stop; one that waits for approvals gives them up.

        A pending run is interrupted at once. A running one stops soon after: see `wait`.

        Raises:
            Conflict: `run_finished`.
        """
        async with self._log.transaction() as writing:
            thread = await get_thread(writing.session, principal, thread_id, lock=True)
            row = await get_run(writing.session, principal, thread_id, run_id)
            if row.status == RunStatus.PENDING and row.attempt == 0:
                await self._drop(writing, thread, row)
            elif row.status in ACTIVE:
                row.cancel_requested = True
            elif not await cancel_pending(writing, thread_id, by=principal.user_id, run_id=run_id):
                raise Conflict("This run is finished", code="run_finished")
            else:
                thread.status, thread.updated_at = ThreadStatus.IDLE, utc_now()
            await writing.session.flush()
        self._wakeups.cancel(run_id)
        return Run.model_validate(row)

    async def wait(self, principal: Principal, thread_id: str, run_id: str, timeout_s: float | None = None) -> Run:
        """Wait until a run has come to rest; `TimeoutError` when that takes too long."""
        run = await self.get(principal, thread_id, run_id)
        if run.finished:
            return run
        async with asyncio.timeout(timeout_s):
            async for _ in self._log.tail(thread_id, run_id=run_id):
                pass
        return await self.get(principal, thread_id, run_id)

    async def _drop(self, writing: LogTransaction, thread: ThreadRow, row: RunRow) -> None:
        now = utc_now()
        row.status, row.reason, row.cancel_requested, row.ended_at = RunStatus.INTERRUPTED, "cancelled", True, now
        thread.status, thread.updated_at = ThreadStatus.IDLE, now
        turn = await get_turn(writing.session, row.turn_id or "")
        turn.status, turn.ended_at = RunStatus.INTERRUPTED, now
        await writing.session.flush()
        ended = NewEvent("run.finished", {"status": RunStatus.INTERRUPTED, "reason": "cancelled"})
        await writing.log(thread.id, [ended], run_id=row.id)


def _turn(principal: Principal, thread_id: str, settings: RunSettings) -> TurnRow:
    return TurnRow(
        id=new_id(),
        thread_id=thread_id,
        message_id=new_id(),
        agent=settings.agent,
        approval_mode=settings.approval_mode,
        status=RunStatus.PENDING,
        created_at=utc_now(),
        **owned_by(principal),
    )


def _first_run(principal: Principal, turn: TurnRow, ground: Ground, *, text: str, settings: RunSettings) -> RunRow:
    return new_run(
        principal,
        thread_id=turn.thread_id,
        turn_id=turn.id,
        settings=asdict(replace(settings, workspace=ground.workspace_id or "")),
        input={"text": text, "fold": ground.unfinished, "message_id": turn.message_id},
    )


async def _store(entry: Entry, run: RunRow, turn: TurnRow, ground: Ground) -> None:
    workspace_id, path = ground.workspace_id or "", ground.workspace_path or ""
    await entry.insert_turn(turn)
    await entry.insert(run, lambda lease: ClaimedTurn(run, lease, turn, workspace_id, path))
