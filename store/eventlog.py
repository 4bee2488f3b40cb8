"""The event log: one per thread, append-only, `seq` from 1 without gaps. SQL is the truth, the tail the live part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import cast

from ..core.errors import NotFound
from .appending import LogTransaction
from .engine import Database
from .prepared import Session
from .records import FINISHED, Batch, LoggedEvent, NewEvent
from .replay import Replay, trimmed
from .retention import Retention
from .tailing import POLL_S, Following, Watch
from .tails import MemoryTail, Tail

__all__ = ["FINISHED", "EventLog", "LogTransaction"]


class EventLog:
    """Append, read and tail. Access is checked by the services; the log itself knows threads only.

    Reading begins after a `seq`: 0 is the log's beginning, or with a `run_id` the run's; None means whatever is left.

    Args:
        database: Where the records are.
        tail: How live readers hear of them, from this process alone if it is left out.
        poll_s: How often SQL is asked for what the tail did not tell.
    """

    def __init__(self, database: Database, *, tail: Tail | None = None, poll_s: float = POLL_S) -> None:
        self.database = database
        self.live: Tail = tail or MemoryTail()
        self._replay = Replay(database)
        self._retention = Retention(database)
        self._watch = Watch(self._replay, self.live, poll_s)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[LogTransaction]:
        """Write rows and log records in one transaction; announce after the commit."""
        async with self.database.transaction() as session:
            writing = LogTransaction(session)
            yield writing
        self.announce(writing.written)

    @asynccontextmanager
    async def direct(self) -> AsyncIterator[LogTransaction]:
        """As `transaction`, for prepared statements alone."""
        async with self.database.direct() as direct:
            writing = LogTransaction(cast("Session", direct))
            yield writing
        self.announce(writing.written)

    async def append(
        self, thread_id: str, events: Iterable[NewEvent], *, run_id: str | None = None, attempt: int = 0
    ) -> list[LoggedEvent]:
        """Append in a transaction of its own."""
        async with self.direct() as writing:
            return await writing.log(thread_id, events, run_id=run_id, attempt=attempt)

    def announce(self, events: Sequence[LoggedEvent]) -> None:
        """Tell the live readers of committed records."""
        by_thread: dict[str, list[LoggedEvent]] = defaultdict(list)
        for event in events:
            by_thread[event.thread_id].append(event)
        for thread_id, of_thread in by_thread.items():
            self.live.announce(thread_id, Batch(of_thread))

    async def head(self, thread_id: str) -> tuple[str, int]:
        """Tell a thread's epoch and its last `seq`; `NotFound` when there is no such thread."""
        head = await self._replay.head(thread_id)
        if head is None:
            raise NotFound("There is no such thread")
        return head.epoch, head.last_seq

    async def check(self, thread_id: str, after: int | None = 0, run_id: str | None = None) -> None:
        """Raise what reading from here would raise, for those who must know before they begin to answer.

        Raises:
            NotFound: There is no such thread.
            Trimmed: What comes next is no longer kept.
        """
        await self._start(thread_id, after, run_id)

    async def read(self, thread_id: str, after: int | None = 0, *, run_id: str | None = None) -> list[LoggedEvent]:
        """Read the visible records beyond `after`, oldest first; none when there is no such thread.

        Raises:
            Trimmed: What comes next is no longer kept.
        """
        try:
            start = await self._start(thread_id, after, run_id)
        except NotFound:
            return []
        found: list[LoggedEvent] = []
        pages = self._replay.pages(thread_id, after if start is None else start)
        while (page := await pages.next()) is not None:
            found += page.shown if run_id is None else [event for event in page.shown if event.run_id == run_id]
        return found

    async def tail(
        self, thread_id: str, after: int | None = 0, run_id: str | None = None
    ) -> AsyncGenerator[LoggedEvent, None]:
        """Replay the visible records beyond `after`, then follow. See `batches`."""
        async with aclosing(self.batches(thread_id, after, run_id)) as batches:
            async for events in batches:
                for event in events:
                    yield event

    async def batches(
        self, thread_id: str, after: int | None = 0, run_id: str | None = None
    ) -> AsyncGenerator[Sequence[LoggedEvent], None]:
        """Replay the visible records beyond `after`, then follow: as many at a time as there are, never none.

        With `run_id` only that run's records come, and the stream ends after its `run.finished`.
        Without it the stream ends when the thread is deleted. The sequences are shared: do not change them.

        Raises:
            NotFound: There is no such thread.
            Trimmed: What comes next is no longer kept.
        """
        live = self.live.subscribe(thread_id)
        self._watch.begin()
        try:
            if run_id is not None:
                after = await self._replay.start_of(run_id, thread_id, after)
                if after is None:
                    return
            following = Following(self._replay, live, after)
            while found := await following.next():
                for batch in found:
                    events, ended = batch.of(run_id)
                    if events:
                        yield events
                    if ended:
                        return
        finally:
            self.live.unsubscribe(live)
            self._watch.rest()

    async def stirs(self, thread_id: str, after: int) -> None:
        """Wait until a thread's log is told to go beyond `after` (SQL is asked now and then), or the thread is gone."""
        live = self.live.subscribe(thread_id)
        self._watch.begin()
        try:
            while live.told <= after and not live.is_over:
                await live.take(after)
        finally:
            self.live.unsubscribe(live)
            self._watch.rest()

    async def trim(self, thread_id: str, before_seq: int) -> int:
        """Forget a resting thread's records before this one; see `Retention.trim`."""
        return await self._retention.trim(thread_id, before_seq)

    async def trim_finished(self, older_than: datetime | None, keep_last: int | None = None) -> int:
        """Forget old records of resting threads; see `Retention.trim_finished`."""
        return await self._retention.trim_finished(older_than, keep_last)

    async def _start(self, thread_id: str, after: int | None, run_id: str | None) -> int | None:
        if run_id is not None:
            return await self._replay.start_of(run_id, thread_id, after)
        head = await self._replay.head(thread_id)
        if head is None:
            raise NotFound("There is no such thread")
        if after is not None and after < head.trimmed_seq:
            raise trimmed(head.trimmed_seq + 1)
        return after
