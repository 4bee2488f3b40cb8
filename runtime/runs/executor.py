"""Executes runs in this process: claims them, keeps them alive, and lets go of them in good order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from ...core.types import RunStatus, utc_now
from ...store.models import RunRow
from ...store.wakeups import Wakeups
from ..failures import told
from .claiming import take_at_birth, take_due
from .engine import Claimed, Ending, Engine
from .execution import Execution
from .owner import Owner
from .seats import Seat, Seats

log = structlog.get_logger(__name__)

DRAIN_S: Final = 5.0
_RETRY_S: Final = 0.5
_REMEMBERED: Final = 256
_TOGETHER: Final = 8
"""Pending runs that are claimed at once, at most: what is born meanwhile finds a seat too."""


class Executor:
    """Runs at most `max_concurrent` runs at once in this process; with 0 it claims nothing.

    Args:
        engine: What a run needs.
        wakeups: Says that rows are pending and which runs shall stop.
        owner: This process's name on the rows it claims.
    """

    def __init__(self, engine: Engine, wakeups: Wakeups, owner: Owner) -> None:
        self.owner = owner
        self._name = str(owner)
        self._engine = engine
        self._seats = Seats(engine.settings.runs.max_concurrent)
        self._wakeups = wakeups
        self._hungry = asyncio.Event()
        self._unmet = False
        self._stops: deque[str] = deque(maxlen=_REMEMBERED)
        self._active: dict[str, Execution] = {}
        self._expected: dict[str, asyncio.Future[Execution]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loops: list[asyncio.Task[None]] = []
        self._open = False
        wakeups.on_ready(self._hungry.set)
        wakeups.on_cancel(self._stop)

    @property
    def active(self) -> frozenset[str]:
        """The runs that execute here now."""
        return frozenset(self._active)

    def ending(self, run_id: str) -> asyncio.Future[Ending] | None:
        """The future of a run that executes here: its ending, or cancelled when it goes elsewhere."""
        execution = self._active.get(run_id)
        return execution.ended if execution is not None else None

    def execution(self, run_id: str) -> Execution | None:
        """The delivery of a run that executes here now."""
        return self._active.get(run_id)

    @property
    def claims(self) -> bool:
        """Whether runs may execute here."""
        return self._open

    @contextmanager
    def expected(self, run_id: str) -> Iterator[asyncio.Future[Execution]]:
        """Wait for a new run to be claimed here; one waits for it, who made it."""
        future = self._expected[run_id] = asyncio.get_running_loop().create_future()
        try:
            yield future
        finally:
            del self._expected[run_id]

    def start(self) -> None:
        """Begin to claim."""
        self._open = self._seats.total > 0
        claiming = [asyncio.create_task(self._dispatch())] if self._open else []
        self._loops = [*claiming, asyncio.create_task(self._beat())]

    async def stop(self, drain_s: float = DRAIN_S) -> None:
        """Claim no more; let each run end its step and give its row back, then stop the rest where they are."""
        self._open = False
        await self._end_loops(self._loops[:-1])
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

    @contextmanager
    def seat(self) -> Iterator[Seat]:
        """Offer a free seat to a run that is about to be inserted: it is born running, without queue and wake-up.

        The block inserts the row after `seat.take(row)` and calls `seat.begin(claimed)` once that is committed. Without
        a free seat, or with others waiting for one, `take` does nothing and the row stays pending.
        """
        seat = Seat()
        if self._open and not self._hungry.is_set() and self._seats.try_take():
            seat = Seat(lambda row: take_at_birth(row, self._name), self.launch)
        try:
            yield seat
        finally:
            if seat.unused:
                self._seats.give_back()

    def launch(self, claimed: Claimed) -> None:
        """Execute a claimed run on the seat that was taken for it."""
        execution = Execution(claimed, self._engine)
        self._active[claimed.run.id] = execution
        expected = self._expected.get(claimed.run.id)
        if expected is not None and not expected.done():
            expected.set_result(execution)
        self._begin(self._drive(execution))
        if claimed.run.id in self._stops:  # asked for between the claim and now
            self._stop(claimed.run.id)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _dispatch(self) -> None:
        while True:
            await self._hungry.wait()
            seats = await self._seats.take(_TOGETHER)
            self._hungry.clear()
            self._unmet = True  # until the answer is there: a run may end after the table was read
            try:
                claimed = await take_due(self._engine, self._name, seats)
            except Exception as exc:  # noqa: BLE001 - the worker loop: a database that blinks must not end it
                log.warning("claim_failed", **told(exc))
                self._seats.give_back(seats)
                await asyncio.sleep(_RETRY_S)
                self._hungry.set()
                continue
            for each in claimed:
                self.launch(each)
            self._seats.give_back(seats - len(claimed))
            if len(claimed) < seats:
                self._unmet = bool(self._active)
            else:
                self._hungry.set()

    async def _drive(self, execution: Execution) -> None:
        run_id = execution.lease.run_id
        try:
            await execution.run()
        except Exception as exc:  # noqa: BLE001 - the worker loop: the row is recovered when its lease expires
            log.warning("run_abandoned", run_id=run_id, **told(exc))
        finally:
            self._active.pop(run_id, None)
            self._seats.give_back()
            if self._unmet:  # somebody asked in vain while this run kept its thread busy
                self._hungry.set()
        if execution.went_back:
            self._wakeups.ready(run_id)

    def _stop(self, run_id: str) -> None:
        """Stop a run if it executes here; what kind of stop it is stands on its row."""
        execution = self._active.get(run_id)
        if execution is not None:
            self._begin(self._obey(execution))
        else:
            self._stops.append(run_id)

    async def _obey(self, execution: Execution) -> None:
        with suppress(OSError, SQLAlchemyError):  # then the heartbeat obeys
            async with self._engine.log.database.read() as session:
                asked = select(RunRow.cancel_action).where(RunRow.id == execution.lease.run_id)
                execution.stop((await session.scalars(asked)).one_or_none())

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
        mine = RunRow.id.in_(executions), RunRow.owner == self._name, RunRow.status == RunStatus.RUNNING
        async with self._engine.log.database.transaction() as session:
            held = select(RunRow.id, RunRow.attempt, RunRow.cancel_requested, RunRow.cancel_action).where(*mine)
            # In the order in which a transaction that ends several runs locks them.
            rows = (await session.execute(held.order_by(RunRow.id).with_for_update(key_share=True))).all()
            await session.execute(update(RunRow).where(*mine).values(heartbeat_at=utc_now()))
        found = {row.id: row for row in rows}
        for run_id, execution in executions.items():
            row = found.get(run_id)
            if row is not None and row.attempt == execution.lease.attempt:
                execution.confirm()
                if row.cancel_requested:
                    execution.stop(row.cancel_action)
            elif run_id in self._active and not execution.ended.done():
                execution.lose()
