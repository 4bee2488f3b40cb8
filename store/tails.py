"""The live tail: who reads a thread now is handed what was just committed. Losing all of it loses latency only."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

from .records import Batch

BUFFERED: Final = 8_000
"""Records that wait for one reader; one further behind goes to SQL."""
BUFFERED_CHARACTERS: Final = 8 * 1024 * 1024
"""The same for their size."""


class Subscription:
    """One live reader: what was announced since it last looked. It costs no task and no timer."""

    __slots__ = ("_batches", "_epoch", "_gone", "_size", "_told", "_waiting", "_waits", "thread_id")

    def __init__(self, thread_id: str) -> None:
        self.thread_id = thread_id
        self._batches: list[Batch] = []
        self._waiting = 0
        self._size = 0
        self._told = 0
        self._epoch: str | None = None
        self._gone = False
        self._waits: asyncio.Future[None] | None = None

    def push(self, batch: Batch) -> None:
        """Take committed records."""
        self._waiting += len(batch.events)
        self._size += batch.size
        if self._waiting > BUFFERED or self._size > BUFFERED_CHARACTERS:
            self._forget()
        else:
            self._batches.append(batch)
        self.tell(batch.last)

    def tell(self, last_seq: int) -> None:
        """Take note that there are records up to this one."""
        if last_seq > self._told:
            self._told = last_seq
            self._wake()

    def meet(self, epoch: str) -> None:
        """Take note of the log's epoch: another one means that this reader's log is no more."""
        if self._epoch not in {None, epoch}:
            self.end()
        self._epoch = epoch

    def end(self) -> None:
        """Take note that the thread is gone."""
        self._gone = True
        self._wake()

    @property
    def told(self) -> int:
        """The newest record that is known to exist; 0 when none is."""
        return self._told

    @property
    def is_over(self) -> bool:
        """Whether the thread is gone: nothing comes after what was taken."""
        return self._gone

    def caught_up(self, seq: int, told: int) -> None:
        """Take note that SQL holds nothing beyond this record, whatever had been told before it was asked."""
        if self._told == told:
            self._told = min(told, seq)

    async def take(self, seq: int) -> list[Batch]:
        """Wait until there is more than `seq`, and hand over what goes on from there without a gap."""
        if not (self._batches or self._told > seq or self._gone):
            self._waits = asyncio.get_running_loop().create_future()
            try:
                await self._waits
            finally:
                self._waits = None
        waiting = self._batches
        self._forget()
        return _following(waiting, seq)

    def _forget(self) -> None:
        self._batches, self._waiting, self._size = [], 0, 0

    def _wake(self) -> None:
        if self._waits is not None and not self._waits.done():
            self._waits.set_result(None)


def _following(batches: list[Batch], seq: int) -> list[Batch]:
    """Pick what goes on after `seq`: writers announce after their commits, in whatever order they get to run."""
    following = []
    for batch in sorted(batches, key=_first) if len(batches) > 1 else batches:
        if batch.first > seq + 1:
            break
        if batch.last > seq:
            following.append(batch.beyond(seq))
            seq = batch.last
    return following


def _first(batch: Batch) -> int:
    return batch.first


class Readers:
    """The live readers of one process, by thread."""

    def __init__(self) -> None:
        self._by_thread: dict[str, list[Subscription]] = {}

    @property
    def threads(self) -> Mapping[str, Iterable[Subscription]]:
        """Who reads what."""
        return self._by_thread

    def add(self, thread_id: str) -> Subscription:
        """Let one more read."""
        subscription = Subscription(thread_id)
        self._by_thread.setdefault(thread_id, []).append(subscription)
        return subscription

    def discard(self, subscription: Subscription) -> None:
        """One reads no more."""
        readers = self._by_thread[subscription.thread_id]
        readers.remove(subscription)
        if not readers:
            del self._by_thread[subscription.thread_id]

    def push(self, thread_id: str, batch: Batch) -> None:
        """Hand committed records to everybody who reads their thread."""
        for subscription in self._by_thread.get(thread_id, ()):
            subscription.push(batch)

    def tell(self, thread_id: str, last_seq: int) -> None:
        """Say that there are records up to this one."""
        for subscription in self._by_thread.get(thread_id, ()):
            subscription.tell(last_seq)

    def meet(self, thread_id: str, epoch: str, last_seq: int) -> None:
        """Say how a log stands in SQL."""
        for subscription in self._by_thread.get(thread_id, ()):
            subscription.meet(epoch)
            subscription.tell(last_seq)

    def end(self, thread_id: str) -> None:
        """Say that a thread is gone."""
        for subscription in self._by_thread.get(thread_id, ()):
            subscription.end()


class Tail(Protocol):
    """How committed records reach the live readers. Nothing here waits, and nothing fails a writer."""

    readers: Readers

    @property
    def lagging(self) -> bool:
        """Whether what other processes write may be missing just now, so that SQL is asked more often."""
        ...

    def announce(self, thread_id: str, batch: Batch) -> None:
        """Tell of committed records: this process's readers at once, the others' soon."""
        ...

    def subscribe(self, thread_id: str) -> Subscription:
        """Begin to read."""
        ...

    def unsubscribe(self, subscription: Subscription) -> None:
        """Read no more."""
        ...


class MemoryTail:
    """The tail inside one process; what others write is found in SQL."""

    lagging = False

    def __init__(self) -> None:
        self.readers = Readers()

    def announce(self, thread_id: str, batch: Batch) -> None:
        """Hand the records over."""
        self.readers.push(thread_id, batch)

    def subscribe(self, thread_id: str) -> Subscription:
        """Add a reader."""
        return self.readers.add(thread_id)

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a reader."""
        self.readers.discard(subscription)
