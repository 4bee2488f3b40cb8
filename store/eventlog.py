"""The event log: one per thread, append-only, `seq` from 1 without gaps. SQL is the truth, memory the live tail."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from sqlalchemy import Select, String, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..core.errors import NotFound
from ..core.types import utc_now
from .engine import Database
from .models import RunEventRow, ThreadRow
from .models.base import table_of
from .records import LoggedEvent, Move, NewEvent, visible

FINISHED: Final = "run.finished"
_THREADS: Final = table_of(ThreadRow)
_TAKE: Final = (
    _THREADS.update()
    .where(_THREADS.c.id == bindparam("thread"))
    .values(last_seq=_THREADS.c.last_seq + bindparam("count"))
    .returning(_THREADS.c.last_seq, _THREADS.c.owner_id, _THREADS.c.tenant_id)
)
_MOVE: Final = (
    _THREADS.update()
    .where(_THREADS.c.id == bindparam("thread"))
    .values(
        last_seq=_THREADS.c.last_seq + bindparam("count"),
        status=bindparam("moved_to"),
        updated_at=bindparam("now"),
        agent=func.coalesce(bindparam("held_by", type_=String), _THREADS.c.agent),
        title=func.coalesce(_THREADS.c.title, bindparam("named", type_=String)),
    )
    .returning(_THREADS.c.last_seq, _THREADS.c.owner_id, _THREADS.c.tenant_id)
)
_LOCK: Final = select(_THREADS.c.id).where(_THREADS.c.id == bindparam("thread")).with_for_update(key_share=True)
_EVENTS: Final = table_of(RunEventRow)
_APPEND: Final = _EVENTS.insert()
_BUFFERED = 10_000
_PAGE = 2_000


class LogTransaction:
    """A database transaction that also logs; what it logged is announced once it has committed.

    Rows are locked in one order, thread before run, or two transactions wait for each other: whoever touches other rows
    of a thread logs first, or calls `lock`.
    """

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.written: list[LoggedEvent] = []

    @property
    def locks_rows(self) -> bool:
        """Whether rows are locked one by one: SQLite has one writer anyway."""
        return self.session.get_bind().dialect.name != "sqlite"

    async def lock(self, thread_id: str) -> None:
        """Keep everybody else from changing the thread until this transaction ends."""
        if self.locks_rows:
            await self.session.execute(_LOCK, {"thread": thread_id})

    async def log(
        self,
        thread_id: str,
        events: Iterable[NewEvent],
        *,
        run_id: str | None = None,
        attempt: int = 0,
        move: Move | None = None,
    ) -> list[LoggedEvent]:
        """Append to a thread's log, and move the thread on with it; `NotFound` when the thread is gone."""
        new = list(events)
        if not new:
            return []
        row = (await self.session.execute(*_taking(thread_id, len(new), move))).one_or_none()
        if row is None:
            raise NotFound("There is no such thread")
        first, at = row.last_seq - len(new) + 1, utc_now()
        logged = [
            LoggedEvent(thread_id, first + i, run_id, attempt, event.type, event.data, at)
            for i, event in enumerate(new)
        ]
        await self.session.execute(_APPEND, [_columns(e, row.owner_id, row.tenant_id) for e in logged])
        self.written += logged
        return logged


def _taking(thread_id: str, count: int, move: Move | None) -> tuple[Any, dict[str, Any]]:
    taken: dict[str, Any] = {"thread": thread_id, "count": count}
    if move is None:
        return _TAKE, taken
    moved = {"moved_to": move.status, "now": utc_now(), "held_by": move.agent, "named": move.title}
    return _MOVE, taken | moved


def _columns(event: LoggedEvent, owner_id: str, tenant_id: str) -> dict[str, Any]:
    return {
        "thread_id": event.thread_id,
        "seq": event.seq,
        "run_id": event.run_id,
        "attempt": event.attempt,
        "type": event.type,
        "data": event.data,
        "at": event.at,
        "owner_id": owner_id,
        "tenant_id": tenant_id,
    }


class _Subscriber:
    """One live reader: what was announced since it last looked."""

    def __init__(self) -> None:
        self.buffer: deque[LoggedEvent] = deque(maxlen=_BUFFERED)
        self.wake = asyncio.Event()

    def push(self, events: Sequence[LoggedEvent]) -> None:
        self.buffer.extend(events)
        self.wake.set()

    async def take(self, timeout_s: float) -> list[LoggedEvent]:
        with suppress(TimeoutError):  # not `wait_for`: on Python 3.11 it can swallow a cancellation
            async with asyncio.timeout(timeout_s):
                await self.wake.wait()
        self.wake.clear()
        taken = sorted(self.buffer, key=lambda event: event.seq)
        self.buffer.clear()
        return taken


class EventLog:
    """Append, read and tail. Access is checked by the services; the log itself knows threads only.

    Args:
        database: Where the records are.
        poll_s: How often a quiet tail looks for what other processes wrote.
    """

    def __init__(self, database: Database, *, poll_s: float = 1.0) -> None:
        self.database = database
        self._poll_s = poll_s
        self._subscribers: dict[str, set[_Subscriber]] = defaultdict(set)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[LogTransaction]:
        """Write rows and log records in one transaction; announce after the commit."""
        async with self.database.transaction() as session:
            writing = LogTransaction(session)
            yield writing
        self.announce(writing.written)

    async def append(
        self, thread_id: str, events: Iterable[NewEvent], *, run_id: str | None = None, attempt: int = 0
    ) -> list[LoggedEvent]:
        """Append in a transaction of its own."""
        async with self.transaction() as writing:
            return await writing.log(thread_id, events, run_id=run_id, attempt=attempt)

    def announce(self, events: Sequence[LoggedEvent]) -> None:
        """Wake the live readers of committed records."""
        by_thread: dict[str, list[LoggedEvent]] = defaultdict(list)
        for event in events:
            by_thread[event.thread_id].append(event)
        for thread_id, batch in by_thread.items():
            for subscriber in self._subscribers.get(thread_id, ()):
                subscriber.push(batch)

    async def read(self, thread_id: str, after: int = 0, *, run_id: str | None = None) -> list[LoggedEvent]:
        """Read the visible records beyond `after`, oldest first."""
        events = visible(await self._raw(thread_id, after))
        return [event for event in events if run_id is None or event.run_id == run_id]

    async def head(self, thread_id: str) -> tuple[str, int]:
        """Tell a thread's epoch and its last `seq`; `NotFound` when there is no such thread."""
        async with self.database.read() as session:
            found = await session.execute(select(ThreadRow.epoch, ThreadRow.last_seq).where(ThreadRow.id == thread_id))
        row = found.one_or_none()
        if row is None:
            raise NotFound("There is no such thread")
        return row.epoch, row.last_seq

    async def tail(
        self, thread_id: str, after: int = 0, run_id: str | None = None
    ) -> AsyncGenerator[LoggedEvent, None]:
        """Replay the visible records beyond `after`, then follow.

        With `run_id` only that run's records come, and the stream ends after its `run.finished`.
        Without it the stream ends when the thread is deleted.
        """
        subscriber = _Subscriber()
        self._subscribers[thread_id].add(subscriber)
        try:
            if run_id is not None and after and await self._finished_by(run_id, after):
                return
            async for event in self._follow(thread_id, after, subscriber):
                if run_id is None or event.run_id == run_id:
                    yield event
                    if run_id is not None and event.type == FINISHED:
                        return
        finally:
            self._subscribers[thread_id].discard(subscriber)
            if not self._subscribers[thread_id]:
                del self._subscribers[thread_id]

    async def _follow(self, thread_id: str, cursor: int, subscriber: _Subscriber) -> AsyncGenerator[LoggedEvent, None]:
        raw = await self._raw(thread_id, cursor)
        if not raw:
            await self.head(thread_id)
        while True:
            for event in visible(raw):
                yield event
            cursor = raw[-1].seq if raw else cursor
            live = [event for event in await subscriber.take(self._poll_s) if event.seq > cursor]
            if live and live[-1].seq - cursor == len(live):
                raw = live
                continue
            raw = await self._raw(thread_id, cursor)
            if not raw and not await self._exists(thread_id):
                return

    async def _raw(self, thread_id: str, after: int) -> list[LoggedEvent]:
        events: list[LoggedEvent] = []
        while True:
            page = await self._page(
                select(RunEventRow)
                .where(RunEventRow.thread_id == thread_id, RunEventRow.seq > after)
                .order_by(RunEventRow.seq)
                .limit(_PAGE)
            )
            events += page
            if len(page) < _PAGE:
                return events
            after = page[-1].seq

    async def _page(self, query: Select[tuple[RunEventRow]]) -> list[LoggedEvent]:
        async with self.database.read() as session:
            rows = (await session.scalars(query)).all()
        return [LoggedEvent(r.thread_id, r.seq, r.run_id, r.attempt, r.type, r.data, r.at) for r in rows]

    async def _finished_by(self, run_id: str, after: int) -> bool:
        query = select(RunEventRow.seq).where(
            RunEventRow.run_id == run_id, RunEventRow.type == FINISHED, RunEventRow.seq <= after
        )
        async with self.database.read() as session:
            return (await session.execute(query.limit(1))).first() is not None

    async def _exists(self, thread_id: str) -> bool:
        async with self.database.read() as session:
            return await session.get(ThreadRow, thread_id) is not None
