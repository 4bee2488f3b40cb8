"""Looks after rows that nobody looks after: lost wake-ups and dead owners; and whatever else a clock must do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import structlog

from ...core.types import RunStatus, utc_now
from ...store.models import RunRow
from ...store.wakeups import Wakeups
from ..failures import told
from .engine import Ending, Engine
from .executor import Executor
from .owner import Owner
from .repository import pending_before, requeue, running_rows, unmoved

log = structlog.get_logger(__name__)

EVERY_S: Final = 1.0
TOO_MANY: Final = "too_many_attempts"


@dataclass(frozen=True)
class Chore:
    """Something that must be done now and then, in some process; it must bear being done in several at once."""

    name: str
    every_s: float
    do: Callable[[], Awaitable[Any]]


class Sweeper:
    """Sweeps once at the start and then every second. It never takes a run from an owner that is alive.

    Args:
        engine: Log, settings, drivers.
        wakeups: Wakes the executors.
        executor: Knows which runs execute here.

    Attributes:
        chores: What else is due by the clock; set before the start.
    """

    def __init__(self, engine: Engine, wakeups: Wakeups, executor: Executor) -> None:
        self._engine = engine
        self._wakeups = wakeups
        self._executor = executor
        self.chores: Sequence[Chore] = ()
        self._due: dict[Chore, float] = {}
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
        """Look at every row once; wake the executors for what has been due for `pending_s`."""
        await self._recover()
        before = utc_now() - timedelta(seconds=pending_s)
        async with self._engine.log.database.read() as session:
            waiting = await pending_before(session, before)
        if waiting is not None:
            self._wakeups.ready(waiting)

    async def do_chores(self) -> None:
        """Do what is due."""
        for chore in self.chores:
            if time.monotonic() >= self._due.get(chore, 0.0):
                self._due[chore] = time.monotonic() + chore.every_s
                await self._attempt(chore.name, chore.do)

    async def _forever(self) -> None:
        pending_s = 0.0
        while True:
            await self._attempt("runs", lambda since=pending_s: self.sweep(pending_s=since))  # type: ignore[misc]
            await self.do_chores()
            pending_s = EVERY_S
            await asyncio.sleep(EVERY_S)

    async def _attempt(self, name: str, do: Callable[[], Awaitable[Any]]) -> None:
        try:
            await do()
        except Exception as exc:  # noqa: BLE001 - the worker loop must outlive a database that blinks
            log.warning("sweep_failed", chore=name, **told(exc))

    async def _recover(self) -> None:
        async with self._engine.log.database.read() as session:
            rows = await running_rows(session)
        for row in rows:
            known = row.kind in self._engine.drivers
            if known and row.id not in self._executor.active and self._is_orphan(row):
                await self._attempt("orphan", partial(self._take_back, row))  # one that resists keeps no other waiting

    def _is_orphan(self, row: RunRow) -> bool:
        owner = Owner.parse(row.owner or "")
        if owner is None or owner.is_dead or row.heartbeat_at is None:
            return True
        return (utc_now() - row.heartbeat_at).total_seconds() > self._engine.settings.runs.lease_s

    async def _take_back(self, row: RunRow) -> None:
        async with self._engine.log.transaction() as writing:
            await writing.lock(row.thread_id)
            # A process that ended in good order and gave the run back is no failed delivery.
            spent = row.attempt - row.handed_back >= self._engine.settings.runs.max_attempts
            if spent and not row.cancel_requested:
                if await unmoved(writing.session, row):
                    await self._engine.drivers[row.kind].give_up(writing, row, _spent(row))
                return
            if not await requeue(writing.session, row):
                return
        log.info("run_recovered", run_id=row.id, attempt=row.attempt, owner=row.owner)
        self._wakeups.ready(row.id)


def _spent(row: RunRow) -> Ending:
    message = f"The run was delivered {row.attempt} times and never came to rest"
    return Ending(status=RunStatus.ERROR, error={"code": TOO_MANY, "message": message})
