"""The in-process executor: claims pending runs, keeps them alive, and lets go of them in good order."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import structlog
from sqlalchemy import select, update

from ...core.types import RunStatus, utc_now
from ...store.models import RunRow
from ..failures import told
from .claiming import take
from .engine import Engine
from .execution import Execution
from .owner import Owner
from .signals import Signals

log = structlog.get_logger(__name__)

DRAIN_S: Final = 5.0
_RETRY_S: Final = 0.5


class Executor:
    """Runs at most `max_concurrent` runs at once in this process.

    Args:
        engine: What a run needs.
        signals: Says which rows are pending and which runs shall stop.
        owner: This process's name on the rows it claims.
    """

    def __init__(self, engine: Engine, signals: Signals, owner: Owner) -> None:
        self.owner = owner
        self._engine = engine
        self._signals = signals
        self._slots = asyncio.Semaphore(engine.settings.runs.max_concurrent)
        self._active: dict[str, Execution] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []

    @property
    def active(self) -> frozenset[str]:
        """The runs that execute here now."""
        return frozenset(self._active)

    def start(self) -> None:
        """Begin to claim."""
        self._loops = [asyncio.create_task(self._dispatch()), asyncio.create_task(self._beat())]

    async def stop(self, drain_s: float = DRAIN_S) -> None:
        """Claim no more; let each run end its step and give its row back, then stop the rest where they are."""
        await self._end_loops(self._loops[:1])
        for execution in self._active.values():
            execution.drain()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=drain_s)
        for execution in self._active.values():
            execution.release()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._end_loops(self._loops)

    async def _end_loops(self, loops: list[asyncio.Task[None]]) -> None:
        for loop in loops:
            loop.cancel()
            with suppress(asyncio.CancelledError):
                await loop

    async def _dispatch(self) -> None:
        while True:
            run_id = await self._signals.next()
            await self._slots.acquire()
            task = asyncio.create_task(self._execute(run_id))
            self._tasks.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()

    async def _execute(self, run_id: str) -> None:
        try:
            claimed = await take(self._engine.log, run_id, str(self.owner))
            if claimed is not None:
                await self._drive(Execution(claimed, self._engine))
        except Exception as exc:  # noqa: BLE001 - the worker loop: the row is recovered when its lease expires
            log.warning("run_abandoned", run_id=run_id, **told(exc))

    async def _drive(self, execution: Execution) -> None:
        # Only who claimed the run may forget it: a run may be woken twice, and the second claim comes back empty.
        run_id = execution.lease.run_id
        self._active[run_id] = execution
        self._signals.on_cancel(run_id, execution.stop)
        try:
            await execution.run()
        finally:
            self._active.pop(run_id, None)
            self._signals.forget(run_id)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self._engine.settings.runs.heartbeat_s)
            try:
                await self._touch()
            except Exception as exc:  # noqa: BLE001 - a failing heartbeat is survived; the fence stops the runs in time
                log.warning("heartbeat_failed", **told(exc))
                await asyncio.sleep(_RETRY_S)

    async def _touch(self) -> None:
        """Renew every lease; obey what other processes asked for on the rows."""
        executions = dict(self._active)
        if not executions:
            return
        mine = RunRow.id.in_(executions), RunRow.owner == str(self.owner), RunRow.status == RunStatus.RUNNING
        async with self._engine.log.database.transaction() as session:
            await session.execute(update(RunRow).where(*mine).values(heartbeat_at=utc_now()))
            held = select(RunRow.id, RunRow.attempt, RunRow.cancel_requested).where(*mine)
            rows = (await session.execute(held)).all()
        found = {row.id: row for row in rows}
        for run_id, execution in executions.items():
            row = found.get(run_id)
            if row is not None and row.attempt == execution.lease.attempt:
                execution.confirm()
                if row.cancel_requested:
                    execution.stop()
            elif run_id in self._active:
                execution.lose()
