"""Holding a thread still: while somebody changes its state by hand, no run of it starts, and none is running.

A checkpoint is written on another connection than the rows, so a lock on the thread's row cannot span both; on SQLite
it would even keep the saver from writing. A hold is therefore a row of the queue itself: a run of kind `hold`, born
running. The index that allows one running run per thread keeps every other run out, in all processes, and the saver
proves the row as a lease in the transaction that writes the checkpoint. Who loses the hold writes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from langgraph.checkpoint.base import BaseCheckpointSaver
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError

from ...core.errors import CodeLabError, Conflict, NotFound
from ...core.types import Principal, RunStatus, utc_now
from ...store.checkpoints import Checkpoints
from ...store.engine import Database
from ...store.lease import Lease
from ...store.models import RunRow, ThreadRow
from ...store.prepared import Session
from ...store.rows import insert_rows
from ...store.wakeups import Wakeups
from ..agent_runs.repository import inflight
from ..runs.claiming import take_at_birth
from ..runs.owner import Owner
from ..runs.repository import HOLD, new_run
from .repository import get_thread

LOST_AFTER: Final = timedelta(seconds=60)
"""A hold lasts for one change. One this old has nobody any more."""
_PATIENCE_S: Final = 5.0


@dataclass
class Held:
    """A thread that is held.

    Attributes:
        thread: Its row as it was when the hold began.
        saver: Writes only while the hold lasts.
        changes: Columns of the row that are written when the hold ends well.
        drop: Whether the thread goes when the hold ends well.
    """

    thread: ThreadRow
    saver: BaseCheckpointSaver[Any]
    changes: dict[str, Any] = field(default_factory=dict)
    drop: bool = False


class Holds:
    """Takes and gives back holds.

    Args:
        database: Where threads and runs are.
        checkpoints: Makes the guarded savers.
        wakeups: Wakes whoever executes the runs that were queued meanwhile.
    """

    def __init__(self, *, database: Database, checkpoints: Checkpoints, wakeups: Wakeups) -> None:
        self._database = database
        self._checkpoints = checkpoints
        self._wakeups = wakeups
        self._owner = str(Owner.here())

    @asynccontextmanager
    async def on(self, principal: Principal, thread_id: str, *, new: ThreadRow | None = None) -> AsyncIterator[Held]:
        """Hold a thread for the block. `new` is inserted first, and gone again if the block fails.

        Raises:
            NotFound: There is no such thread of this principal's.
            Conflict: A run is active, or somebody else holds the thread for too long.
        """
        thread, lease = await self._take(principal, thread_id, new)
        held = Held(thread, self._checkpoints.saver(lease=lease))
        try:
            yield held
        except BaseException:
            await self._give_up(lease, thread_id, fresh=new is not None)
            raise
        await self._give_back(lease, thread_id, held)

    async def drop_lost(self) -> None:
        """Forget holds whose process is gone."""
        async with self._database.transaction() as session:
            rows = (await session.scalars(select(RunRow).where(RunRow.kind == HOLD))).all()
            lost = [row.id for row in rows if _is_lost(row)]
            if lost:
                await session.execute(delete(RunRow).where(RunRow.id.in_(lost)))

    async def _take(self, principal: Principal, thread_id: str, new: ThreadRow | None) -> tuple[ThreadRow, Lease]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_S
        while True:
            try:
                async with self._database.transaction() as session:
                    thread = await self._still(session, principal, thread_id, new)
                    if thread is not None:
                        row = new_run(principal, thread_id=thread_id, kind=HOLD)
                        lease = take_at_birth(row, self._owner)
                        await insert_rows(session, row)
                        return thread, lease
            except IntegrityError as exc:  # a run was claimed in this moment
                if new is not None:
                    raise Conflict(f"Thread with ID {thread_id} already exists") from exc
            if loop.time() > deadline:
                raise Conflict(f"Thread {thread_id} is being changed; try again", code="thread_busy")
            await asyncio.sleep(0.01)

    async def _still(
        self, session: Session, principal: Principal, thread_id: str, new: ThreadRow | None
    ) -> ThreadRow | None:
        """The thread, locked; None while another hold is on it."""
        if new is not None:
            await insert_rows(session, new)
            return new
        thread = await get_thread(session, principal, thread_id, lock=True)
        active = await inflight(session, thread_id)
        if not active:
            return thread
        holds = select(RunRow.id).where(RunRow.id.in_(active), RunRow.kind == HOLD)
        others = set(active) - set((await session.scalars(holds)).all())
        if others:
            runs = ", ".join(sorted(others))
            raise Conflict(f"Thread {thread_id} has in-flight runs: {runs}", code="thread_busy")
        return None

    async def _give_up(self, lease: Lease, thread_id: str, *, fresh: bool) -> None:
        if not fresh:
            await self._give_back(lease, thread_id)
            return
        async with self._database.transaction() as session:
            await session.execute(delete(ThreadRow).where(ThreadRow.id == thread_id))
        await self._checkpoints.delete(thread_id)

    async def _give_back(self, lease: Lease, thread_id: str, held: Held | None = None) -> None:
        async with self._database.transaction() as session:
            # Thread before run, as everybody locks; and whoever queues a run behind this hold is done, or comes after.
            await session.execute(select(ThreadRow.id).where(ThreadRow.id == thread_id).with_for_update())
            gone = delete(RunRow).where(RunRow.id == lease.run_id).returning(RunRow.id)
            kept = (await session.scalars(gone)).one_or_none() is not None
            if held is not None and not kept:
                raise _lost(await session.get(ThreadRow, thread_id))
            if held is not None:
                await _finish(session, held)
            queued = select(RunRow.id).where(RunRow.thread_id == thread_id, RunRow.status == RunStatus.PENDING)
            waiting = (await session.scalars(queued.limit(1))).first()
        if waiting is not None:
            self._wakeups.ready(waiting)


async def _finish(session: Session, held: Held) -> None:
    its_row = ThreadRow.id == held.thread.id
    if held.drop:
        await session.execute(delete(ThreadRow).where(its_row))
    elif held.changes:
        await session.execute(update(ThreadRow).where(its_row).values(**held.changes))


def _lost(thread: ThreadRow | None) -> CodeLabError:
    if thread is None:
        return NotFound("The thread was deleted meanwhile")
    return Conflict("Changing the thread took too long; look at its state and try again", code="thread_busy")


def _is_lost(row: RunRow) -> bool:
    owner = Owner.parse(row.owner or "")
    old = row.heartbeat_at is None or utc_now() - row.heartbeat_at > LOST_AFTER
    return owner is None or owner.is_dead or old
