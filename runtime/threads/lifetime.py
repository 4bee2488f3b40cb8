"""How threads end, and what is left of old ones: deleting, pruning, and the time they were given to live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import delete, select, update

from ...core.errors import Conflict, NotFound
from ...core.types import Principal, utc_now
from ...store.checkpoints import Checkpoints
from ...store.engine import Database
from ...store.models import ThreadRow
from ...store.wakeups import Wakeups
from ..scope import mine, owner_of
from .holding import Held, Holds
from .shapes import Prune, Ttl
from .stopping import stop_runs

_AT_ONCE: Final = 100


class Lifetimes:
    """Ends threads.

    Args:
        database: Where the rows are.
        checkpoints: Where the state is.
        holds: Keeps runs away meanwhile.
        wakeups: Tells executors to stop runs.
    """

    def __init__(self, *, database: Database, checkpoints: Checkpoints, holds: Holds, wakeups: Wakeups) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._holds = holds
        self._wakeups = wakeups

    async def delete(self, principal: Principal, thread_id: str) -> None:
        """Stop what runs and wait for it, then drop the thread with its rows, log and checkpoints.

        A run that does not stop in time loses its row with the thread's, and with that the right to write.
        """
        if await stop_runs(self._database, self._wakeups, principal, thread_id):
            try:
                async with self._holds.on(principal, thread_id) as held:
                    await self._checkpoints.delete(thread_id)
                    held.drop = True
            except Conflict:  # a run began in this moment
                pass
            else:
                return
        async with self._database.transaction() as session:
            gone = delete(ThreadRow).where(ThreadRow.id == thread_id, mine(ThreadRow, principal))
            await session.execute(gone)
        await self._checkpoints.delete(thread_id)

    async def prune(self, principal: Principal, asked: Prune) -> int:
        """Drop threads, or cut them down to their newest state; how many. One that runs is not cut down."""
        pruned = 0
        for thread_id in dict.fromkeys(asked.thread_ids):
            try:
                if asked.strategy == "delete":
                    await self.delete(principal, thread_id)
                else:
                    await self._cut_down(principal, thread_id, {})
            except (NotFound, Conflict):
                continue
            pruned += 1
        return pruned

    async def sweep(self) -> int:
        """End or cut down the threads whose time is over, everybody's; how many."""
        await self._holds.drop_lost()
        now = utc_now()
        due = select(ThreadRow).where(ThreadRow.expires_at <= now).order_by(ThreadRow.expires_at).limit(_AT_ONCE)
        async with self._database.read() as session:
            rows = (await session.scalars(due)).all()
        ended = 0
        for row in rows:
            try:
                ended += await self._end(row)
            except (NotFound, Conflict):
                continue  # it is gone, or a run is active: the next sweep looks again
        return ended

    async def _end(self, row: ThreadRow) -> bool:
        principal = owner_of(row)
        ttl = Ttl.model_validate(row.ttl) if row.ttl is not None else None
        if ttl is not None and ttl.until(row.updated_at) > utc_now():
            await self._postpone(row, ttl)
            return False
        if ttl is not None and ttl.strategy == "keep_latest":
            await self._cut_down(principal, row.id, {"expires_at": ttl.until(utc_now())})
            return True
        async with self._holds.on(principal, row.id) as held:
            if not _same(held, row):
                return False
            await self._checkpoints.delete(row.id)
            held.drop = True
        return True

    async def _postpone(self, row: ThreadRow, ttl: Ttl) -> None:
        """The thread was used meanwhile: its time counts from there."""
        later = update(ThreadRow).where(ThreadRow.id == row.id, ThreadRow.expires_at == row.expires_at)
        async with self._database.transaction() as session:
            await session.execute(later.values(expires_at=ttl.until(row.updated_at)))

    async def _cut_down(self, principal: Principal, thread_id: str, changes: dict[str, Any]) -> None:
        async with self._holds.on(principal, thread_id) as held:
            ids: Sequence[str] = [thread_id]
            await held.saver.aprune(ids, strategy="keep_latest")
            held.changes = changes


def _same(held: Held, row: ThreadRow) -> bool:
    """Whether nobody used the thread since it was found due."""
    now = held.thread
    return (now.updated_at, now.expires_at) == (row.updated_at, row.expires_at)
