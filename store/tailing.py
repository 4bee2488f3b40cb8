"""Following a log: replay from SQL, then live; and again from SQL whenever something is missing in between."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ..core.errors import NotFound
from .records import Batch
from .replay import Pages, Replay, trimmed
from .tails import Subscription, Tail

POLL_S: Final = 1.0
LAGGING_POLL_S: Final = 0.25
_MANY: Final = 1_000
"""Threads asked about in one query."""

log = structlog.get_logger(__name__)


class Following:
    """One reader on the way through a log, from SQL to live and, when something is missing in between, back to SQL.

    Args:
        replay: Reads SQL.
        live: Subscribed before the first look into SQL, or something may fall in between.
        after: Where to begin; None for whatever is left.
    """

    def __init__(self, replay: Replay, live: Subscription, after: int | None) -> None:
        self._replay = replay
        self._live = live
        self._after = after
        self._entered = False
        self._over = False
        self._told = 0
        self._pages: Pages | None = None
        self._look()

    async def next(self) -> Sequence[Batch]:
        """Wait for what comes next, without a gap; nothing when the thread is gone.

        Raises:
            NotFound: There never was such a thread.
            Trimmed: What comes next is no longer kept.
        """
        while not self._over:
            found = await (self._stored(self._pages) if self._pages is not None else self._announced())
            if found:
                self._after, self._entered = found[-1].last, True
                return found
        return ()

    def _look(self) -> None:
        self._told, self._pages = self._live.told, self._replay.pages(self._live.thread_id, self._after)

    async def _stored(self, pages: Pages) -> Sequence[Batch]:
        page = await pages.next()
        if page is None:
            self._pages = None
            if not pages.found:
                await self._stand()
        return () if page is None else (page,)

    async def _stand(self) -> None:
        """Find where to wait when there is nothing to read."""
        head = await self._replay.head(self._live.thread_id)
        if head is None:
            self._over = True
            if not self._entered:
                raise NotFound("There is no such thread")
            return
        if self._after is None:
            self._after = head.trimmed_seq
        elif self._after < head.trimmed_seq:
            raise trimmed(head.trimmed_seq + 1)
        self._entered = True
        self._live.caught_up(self._after, self._told)

    async def _announced(self) -> Sequence[Batch]:
        seq = self._after or 0
        found = await self._live.take(seq)
        if found:
            seq = self._after = found[-1].last
        self._over = self._live.is_over
        if self._live.told > seq:
            self._look()
        return found


class Watch:
    """Looks after the readers of one process: one query tells how all their logs stand. It runs while anybody reads.

    Args:
        replay: Asks SQL.
        tail: Whose readers.
        poll_s: How often; more often while the tail lags.
    """

    def __init__(self, replay: Replay, tail: Tail, poll_s: float) -> None:
        self._replay = replay
        self._tail = tail
        self._poll_s = poll_s
        self._task: asyncio.Task[None] | None = None
        self._sleeps = False
        self._failing = False

    def begin(self) -> None:
        """Somebody reads."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._while_read())

    def rest(self) -> None:
        """Stop if nobody reads any more; a query that is under way ends by itself."""
        if not self._tail.readers.threads and self._task is not None and self._sleeps:
            self._task.cancel()
            self._task = None

    async def _while_read(self) -> None:
        step = min(self._poll_s, LAGGING_POLL_S)
        while True:
            self._sleeps = True
            slept = 0.0
            while slept < self._poll_s and not (slept and self._tail.lagging):
                await asyncio.sleep(step)
                slept += step
            self._sleeps = False
            threads = list(self._tail.readers.threads)
            if not threads:
                return
            try:
                await self._look(threads)
            except SQLAlchemyError as exc:
                # Whoever reads meets the database's failure in a query of their own.
                if not self._failing:
                    log.warning("heads_unread", error=str(exc))
                self._failing = True
            else:
                self._failing = False

    async def _look(self, threads: list[str]) -> None:
        readers = self._tail.readers
        for start in range(0, len(threads), _MANY):
            asked = threads[start : start + _MANY]
            heads = await self._replay.heads(asked)
            for thread_id in asked:
                if thread_id in heads:
                    readers.meet(thread_id, *heads[thread_id])
                else:
                    readers.end(thread_id)
