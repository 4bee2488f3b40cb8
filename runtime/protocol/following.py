"""Following a thread for clients of the protocol: from before it exists until it is deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, suppress
from typing import Final

from ...core.errors import NotFound, Trimmed
from ...core.types import Principal, utc_now
from ...store.eventlog import EventLog
from ...store.models import ThreadRow
from ...store.records import LoggedEvent
from ..threads.repository import get_thread
from .awaited import AwaitedThreads
from .encoding import encoded
from .subscribing import Subscription

GRACE_S: Final = 0.25
"""How much later a question reaches the streams that only watch; see `let_pass`."""


async def let_pass(asked: Iterable[Subscription], records: Sequence[LoggedEvent]) -> None:
    """Hold a fresh question back from a stream that only watches, so that what was said before it arrives first.

    Clients watch a run's lifecycle on one stream and read what it says on others, which they open only once the run has
    started. At a question they end all their readers, whatever those have had (langgraph-sdk does), and a run that asks
    at once would seem to have said nothing.
    """
    fresh = [record.at for record in records for each in encoded(record) if each.event["method"] == "input.requested"]
    if fresh and all(each.only_watches for each in asked):
        await asyncio.sleep(GRACE_S - (utc_now() - fresh[-1]).total_seconds())


class Following:
    """The streams of one process.

    Args:
        log: The logs.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._awaited = AwaitedThreads(log.database)

    def born(self, thread_id: str) -> None:
        """A thread was created here."""
        self._awaited.told(thread_id)

    async def thread(self, principal: Principal, thread_id: str) -> ThreadRow | None:
        """The thread as it stands; None when there is none of this principal's."""
        with suppress(NotFound):
            async with self._log.database.read() as session:
                return await get_thread(session, principal, thread_id)
        return None

    async def head(self, principal: Principal, thread_id: str) -> int:
        """The `seq` of the thread's last record; 0 when there is none."""
        row = await self.thread(principal, thread_id)
        return row.last_seq if row else 0

    async def batches(
        self, principal: Principal, thread_id: str, after: int | None
    ) -> AsyncGenerator[Sequence[LoggedEvent], None]:
        """Give the records after `after` and go on live, over all runs; ends with the thread.

        A thread that does not exist, or is another's, is waited for. Records that are no longer kept are left out: the
        thread's state tells what became of them.
        """
        await self._awaited.of(principal, thread_id)
        with suppress(NotFound):
            try:
                async with aclosing(self._log.batches(thread_id, after or None)) as batches:
                    async for batch in batches:
                        yield batch
            except Trimmed:
                async with aclosing(self._log.batches(thread_id, None)) as batches:
                    async for batch in batches:
                        yield batch
