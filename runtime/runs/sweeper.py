"""Looks after rows that nobody looks after: lost wake-ups, dead owners, approvals whose time is up."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Final

import structlog

from ...core.types import RunStatus, utc_now
from ...store.eventlog import LogTransaction
from ...store.models import RunRow
from ..approvals.service import ApprovalService
from ..failures import told
from .engine import Engine
from .executor import Executor
from .outcome import Outcome, settle
from .owner import Owner
from .repository import pending_before, requeue, running_rows, unmoved
from .signals import Signals

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
_BATCH: Final = 200


class Sweeper:
    """Sweeps once at the start and then every second. It never takes a run from an owner that is alive.

    Args:
        engine: Log, settings.
        signals: Wakes the executor.
        executor: Knows which runs execute here.
        approvals: Lets the clock decide.
    """

    def __init__(self, engine: Engine, signals: Signals, executor: Executor, approvals: ApprovalService) -> None:
        self._engine = engine
        self._signals = signals
        self._executor = executor
        self._approvals = approvals
        self._loop: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sweep."""
        self._loop = asyncio.create_task(self._forever())

    async def stop(self) -> None:
        """Sweep no more."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.wait({self._loop})

    async def sweep(self, *, pending_s: float = 1.0) -> None:
        """Look at every row once; wake what has been pending for `pending_s`."""
        await self._recover()
        await self._approvals.expire()
        before = utc_now() - timedelta(seconds=pending_s)
        async with self._engine.log.database.read() as session:
            pending = await pending_before(session, before, _BATCH)
        for run_id in pending:
            self._signals.ready(run_id)

    async def _forever(self) -> None:
        pending_s = 0.0
        while True:
            try:
                await self.sweep(pending_s=pending_s)
            except Exception as exc:  # noqa: BLE001 - the worker loop must outlive a database that blinks
                log.warning("sweep_failed", **told(exc))
            pending_s = EVERY_S
            await asyncio.sleep(EVERY_S)

    async def _recover(self) -> None:
        async with self._engine.log.database.read() as session:
            rows = await running_rows(session)
        for row in rows:
            if row.id not in self._executor.active and self._is_orphan(row):
                await self._take_back(row)

    def _is_orphan(self, row: RunRow) -> bool:
        owner = Owner.parse(row.owner or "")
        if owner is None or owner.is_dead or row.heartbeat_at is None:
            return True
        return (utc_now() - row.heartbeat_at).total_seconds() > self._engine.settings.runs.lease_s

    async def _give_up(self, writing: LogTransaction, row: RunRow) -> None:
        if await unmoved(writing.session, row):
            message = f"The run was delivered {row.attempt} times and never came to rest"
            outcome = Outcome(RunStatus.ERROR, error={"code": "too_many_attempts", "message": message})
            await settle(writing, row, outcome, expiry=self._engine.settings.approvals.expiry)

    async def _take_back(self, row: RunRow) -> None:
        async with self._engine.log.transaction() as writing:
            await writing.lock(row.thread_id)
            # A process that ended in good order and gave the run back is no failed delivery.
            if row.attempt - row.handed_back >= self._engine.settings.runs.max_attempts:
                await self._give_up(writing, row)
                return
            if not await requeue(writing.session, row):
                return
        log.info("run_recovered", run_id=row.id, attempt=row.attempt, owner=row.owner)
        self._signals.ready(row.id)
