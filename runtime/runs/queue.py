"""Where new runs enter: into a free seat of this process when there is one, else as pending rows for whoever wakes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractContextManager, asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncSession

from ...store.eventlog import EventLog, LogTransaction
from ...store.lease import Lease
from ...store.models import RunRow, TurnRow
from ...store.rows import insert_rows
from ...store.wakeups import Wakeups
from .engine import Claimed, Engine
from .executor import Executor
from .seats import Seat


class Entry:
    """One transaction's way into the queue; at most one of its runs is born running."""

    def __init__(self, writing: LogTransaction, seat: Seat, queue: Queue) -> None:
        self.seat = seat
        self._writing = writing
        self._queue = queue
        self.claimed: Claimed | None = None
        self.pending: list[str] = []

    async def insert_turn(self, turn: TurnRow) -> None:
        """Insert the turn that a run begins."""
        await insert_rows(self._writing.session, turn)

    async def insert(self, row: RunRow, claim: Callable[[Lease], Claimed] | None = None) -> None:
        """Insert a run; `claim` makes what it needs where the caller knows that already."""
        lease = self.seat.take(row) if self.claimed is None else None
        await insert_rows(self._writing.session, row)
        if lease is None:
            self.pending.append(row.id)
        elif claim is not None:
            self.claimed = claim(lease)
        else:
            self.claimed = await self._queue.claimed(self._writing.session, row, lease)


class Queue:
    """The door for new runs.

    Args:
        engine: Log and drivers.
        executor: Offers its free seats.
        wakeups: Wakes the others.
    """

    def __init__(self, engine: Engine, executor: Executor, wakeups: Wakeups) -> None:
        self._engine = engine
        self._executor = executor
        self._wakeups = wakeups

    @property
    def log(self) -> EventLog:
        """The log that the transaction writes to."""
        return self._engine.log

    def seat(self) -> AbstractContextManager[Seat]:
        """Offer a seat to a run that is inserted in the block; `admit` it once that is committed."""
        return self._executor.seat()

    async def claimed(self, session: AsyncSession, row: RunRow, lease: Lease) -> Claimed:
        """Read what a run needs that was inserted on a seat."""
        return await self._engine.drivers[row.kind].claimed(session, row, lease)

    def admit(self, seat: Seat, claimed: Claimed | None, pending: Iterable[str]) -> None:
        """Execute the run that took the seat; tell of those that wait."""
        if claimed is not None:
            seat.begin(claimed)
        for run_id in pending:
            self._wakeups.ready(run_id)

    @asynccontextmanager
    async def entry(self) -> AsyncIterator[tuple[LogTransaction, Entry]]:
        """Open a transaction of prepared statements; runs it inserts start, or are announced, once it is committed."""
        with self.seat() as seat:
            async with self._engine.log.direct() as writing:
                entry = Entry(writing, seat, self)
                yield writing, entry
            self.admit(seat, entry.claimed, entry.pending)
