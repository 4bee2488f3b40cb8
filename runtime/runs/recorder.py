"""Group commit: what a run says reaches the log within 50 ms, a new message within 8, much of it at once.

Tokens that wait together are logged as one: a record costs each of its readers more than its letters do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from ...store.eventlog import EventLog
from ...store.lease import Lease
from ...store.records import NewEvent
from .joining import joined

WINDOW_S: Final = 0.05
BRIEF_S: Final = 0.008
"""A reader cannot see this wait; what a quick model says in it, perhaps all, is one transaction and not two."""
MANY: Final = 500
"""Records that do not wait for more: live readers are handed as many and have room for a few times that."""
_BEGINS: Final = frozenset({"text.start", "attempt_superseded"})


class Recorder:
    """Buffers one run's events and flushes them under its lease.

    A failed flush (a lost lease, a database that is gone) surfaces at the next `add`, `flush` or `rest`.
    """

    def __init__(self, log: EventLog, *, thread_id: str, lease: Lease, window_s: float = WINDOW_S) -> None:
        self._log = log
        self._thread_id = thread_id
        self._lease = lease
        self._window_s = window_s
        self._buffer: list[NewEvent] = []
        self._flushing: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self._soon: asyncio.TimerHandle | None = None
        self._committing = False

    def keep(self, events: Iterable[NewEvent]) -> None:
        """Take events that nobody waits for: they are committed with what comes after them."""
        self._buffer += events

    def add(self, events: Iterable[NewEvent]) -> None:
        """Take events; they are committed soon."""
        before = len(self._buffer)
        self._buffer += events
        fresh = self._buffer[before:]
        if not fresh:
            return
        if len(self._buffer) >= MANY:
            self._hurry.set()
        elif self._soon is None and any(event.type in _BEGINS for event in fresh):
            self._soon = asyncio.get_running_loop().call_later(BRIEF_S, self._hurry.set)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush_soon())
        elif self._flushing.done():
            self._flushing.result()
            self._flushing = asyncio.create_task(self._flush_soon())

    def rest(self) -> list[NewEvent]:
        """Hand over what is left, for the run's closing transaction. `settle` first."""
        return self._take()

    def drop(self) -> None:
        """Forget what is buffered: the run is over, or no longer ours."""
        self._take()
        if self._flushing is not None:
            if not self._committing:
                self._flushing.cancel()
            self._flushing.add_done_callback(_hear)

    async def settle(self) -> None:
        """Let a commit in progress end; a flush that still waits for its window gives way.

        Never inside a transaction: that commit and the transaction would wait for each other.
        """
        flushing, self._flushing = self._flushing, None
        if flushing is None:
            return
        if not self._committing:
            flushing.cancel()
        await asyncio.wait({flushing})
        if not flushing.cancelled():
            flushing.result()

    async def _flush_soon(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurry.wait(), self._window_s)
        await self._commit()
        if self._buffer and self._flushing is asyncio.current_task():  # said while that was written, perhaps the last
            self._flushing = asyncio.create_task(self._flush_soon())

    def _take(self) -> list[NewEvent]:
        """Empty the buffer, what continues each other joined: nobody is in a hurry any more."""
        events, self._buffer = joined(self._buffer), []
        self._hurry.clear()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        return events

    async def _commit(self) -> None:
        events = self._take()
        if not events:
            return
        self._committing = True
        try:
            async with self._log.direct() as writing:
                await writing.log(self._thread_id, events, run_id=self._lease.run_id, attempt=self._lease.attempt)
                await self._lease.hold(writing.session)
        finally:
            self._committing = False


def _hear(flushing: asyncio.Task[None]) -> None:
    """Take note of a dropped flush's failure, which concerns nobody any more."""
    if not flushing.cancelled():
        flushing.exception()
