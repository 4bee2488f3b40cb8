"""Waiting for threads that do not exist yet: one query for all who wait, not one for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from contextvars import Context
from itertools import chain
from typing import Final

from sqlalchemy import bindparam, select

from ...core.types import Principal
from ...store.engine import Database
from ...store.models import ThreadRow
from ..scope import owns

SOON_S: Final = 0.1
LATER_S: Final = 1.0
_SOON_LOOKS: Final = 50
"""Looks at a thread that does not exist before they become rare: a client opens its stream, then starts a run."""
_MANY: Final = 1_000
"""Threads asked about in one query."""
_OWNERS: Final = select(ThreadRow.id, ThreadRow.owner_id, ThreadRow.tenant_id).where(
    ThreadRow.id.in_(bindparam("threads", expanding=True))
)


class _Waiting:
    """One who waits for a thread of theirs."""

    __slots__ = ("due", "looks", "principal", "seen", "thread_id")

    def __init__(self, principal: Principal, thread_id: str) -> None:
        self.principal = principal
        self.thread_id = thread_id
        self.seen: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.due = 0.0
        self.looks = 0


class AwaitedThreads:
    """Who waits for which thread in one process. A task looks while anybody waits.

    Args:
        database: Where the threads are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: dict[str, list[_Waiting]] = {}
        self._hurry = asyncio.Event()
        self._looking: asyncio.Task[None] | None = None

    async def of(self, principal: Principal, thread_id: str) -> None:
        """Wait until there is such a thread of this principal's."""
        waiting = _Waiting(principal, thread_id)
        self._waiting.setdefault(thread_id, []).append(waiting)
        self._look_now()
        try:
            await waiting.seen
        finally:
            self._leave(waiting)

    def told(self, thread_id: str) -> None:
        """A thread was created here: whoever waits for it need not wait for the next look."""
        for waiting in self._waiting.get(thread_id, ()):
            waiting.due = 0.0
            self._look_now()

    def _look_now(self) -> None:
        self._hurry.set()
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look(), context=Context())
            self._looking.add_done_callback(self._looked)

    def _looked(self, looking: asyncio.Task[None]) -> None:
        """Whoever waited meets the failure of a look, as they would that of a query of their own."""
        if not looking.cancelled() and (failure := looking.exception()) is not None:
            for each in self._all():
                _end(each, failure)

    def _leave(self, waiting: _Waiting) -> None:
        others = self._waiting[waiting.thread_id]
        others.remove(waiting)
        if not others:
            del self._waiting[waiting.thread_id]

    async def _look(self) -> None:
        while self._waiting:
            self._hurry.clear()
            await self._ask(self._due())
            with suppress(TimeoutError):
                async with asyncio.timeout_at(min((each.due for each in self._all()), default=0.0)):
                    await self._hurry.wait()

    def _due(self) -> list[_Waiting]:
        """Whose look it is, each with the time of the next one."""
        now = asyncio.get_running_loop().time()
        due = [each for each in self._all() if each.due <= now]
        for each in due:
            each.looks += 1
            each.due = now + (SOON_S if each.looks <= _SOON_LOOKS else LATER_S)
        return due

    def _all(self) -> Iterator[_Waiting]:
        return chain.from_iterable(self._waiting.values())

    async def _ask(self, due: Sequence[_Waiting]) -> None:
        for start in range(0, len(due), _MANY):
            some = due[start : start + _MANY]
            async with self._database.read() as session:
                found = await session.execute(_OWNERS, {"threads": [each.thread_id for each in some]})
            owners = {row.id: row for row in found}
            for each in some:
                if (row := owners.get(each.thread_id)) is not None and owns(each.principal, row):
                    _end(each)


def _end(waiting: _Waiting, failure: BaseException | None = None) -> None:
    if waiting.seen.done():  # its client has left
        return
    if failure is None:
        waiting.seen.set_result(None)
    else:
        waiting.seen.set_exception(failure)
