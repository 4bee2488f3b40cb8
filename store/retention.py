"""How long the event log is kept: old records of resting threads go, whole runs at a time."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, bindparam, delete, exists, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ..core.types import RunStatus, ThreadStatus
from .engine import Database
from .models import RunEventRow, RunRow, ThreadRow
from .models.base import table_of

TOGETHER: Final = 1_000
"""Records deleted in one transaction."""
ENOUGH: Final = 20_000
THREADS: Final = 100
"""Threads found by one query."""
_T: Final = table_of(ThreadRow)
_E: Final = table_of(RunEventRow)
_R: Final = table_of(RunRow)
# A turn that waits for a person is told from its records when it goes on; a graph's run is not.
_RESTING: Final[ColumnElement[bool]] = and_(
    _T.c.status != ThreadStatus.BUSY.value,
    or_(_T.c.status != ThreadStatus.INTERRUPTED.value, _T.c.workspace_id.is_(None)),
    ~exists().where(_R.c.thread_id == _T.c.id, _R.c.status.in_([RunStatus.PENDING.value, RunStatus.RUNNING.value])),
)
_MOVE: Final = (
    update(_T)
    .where(_T.c.id == bindparam("thread"), _T.c.trimmed_seq < bindparam("to"), _RESTING)
    .values(trimmed_seq=bindparam("to"))
)


class Retention:
    """Trims logs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def trim(self, thread_id: str, before_seq: int) -> int:
        """Delete a resting thread's records before this one, none of a run that has records from it on; how many went.

        A thread that is at work, or waits for a person's decision, stays as it is.
        """
        async with self._database.read() as session:
            thread = (
                await session.execute(select(_T.c.last_seq, _T.c.trimmed_seq).where(_T.c.id == thread_id))
            ).first()
            if thread is None:
                return 0
            to = await _whole_runs(session, thread_id, min(before_seq - 1, thread.last_seq))
        gone: int = thread.trimmed_seq
        while gone < to:
            step = min(gone + TOGETHER, to)
            if not await self._drop(thread_id, step):
                break
            gone = step
        return gone - int(thread.trimmed_seq)

    async def trim_finished(self, older_than: datetime | None, keep_last: int | None = None) -> int:
        """Trim resting threads: what is older, and what is more than the newest `keep_last`; how many records went.

        After about `ENOUGH` records the rest waits for the next call.
        """
        gone, last = 0, ""
        while gone < ENOUGH and (due := await self._due(older_than, keep_last, beyond=last)):
            gone += sum([await self.trim(thread_id, before) for thread_id, before in due])
            last = due[-1][0]
        return gone

    async def _due(self, older_than: datetime | None, keep_last: int | None, *, beyond: str) -> list[tuple[str, int]]:
        reasons: list[ColumnElement[bool]] = []
        if older_than is not None:
            reasons.append(_E.c.at < older_than)
        if keep_last is not None:
            reasons.append(_T.c.last_seq - _T.c.trimmed_seq > keep_last)
        oldest = and_(_E.c.thread_id == _T.c.id, _E.c.seq == _T.c.trimmed_seq + 1)
        query = (
            select(_T.c.id, _T.c.last_seq)
            .join(_E, oldest)
            .where(_T.c.id > beyond, _RESTING, or_(false(), *reasons))
            .order_by(_T.c.id)
            .limit(THREADS)
        )
        async with self._database.read() as session:
            found = (await session.execute(query)).all()
            return [(row.id, await _before(session, row, older_than, keep_last)) for row in found]

    async def _drop(self, thread_id: str, to: int) -> bool:
        # The mark moves with the records: whatever a kill leaves behind is a log with a beginning.
        async with self._database.transaction() as session:
            moved: Any = await session.execute(_MOVE, {"thread": thread_id, "to": to})
            if not moved.rowcount:
                return False
            await session.execute(delete(_E).where(_E.c.thread_id == thread_id, _E.c.seq <= to))
        return True


async def _before(session: AsyncSession, thread: Any, older_than: datetime | None, keep_last: int | None) -> int:
    """Find the oldest record that stays."""
    before = 1 if keep_last is None else max(1, thread.last_seq - keep_last + 1)
    if older_than is None:
        return before
    young = select(_E.c.seq).where(_E.c.thread_id == thread.id, _E.c.at >= older_than).order_by(_E.c.seq).limit(1)
    first = await session.scalar(young)
    return max(before, int(thread.last_seq) + 1 if first is None else first)


async def _whole_runs(session: AsyncSession, thread_id: str, to: int) -> int:
    """Move a cut back to where it goes through no run: a run is readable as a whole, or gone."""
    while to > 0:
        beyond = select(_E.c.run_id).where(_E.c.thread_id == thread_id, _E.c.seq > to, _E.c.run_id.is_not(None))
        begun = select(func.min(_E.c.seq)).where(_E.c.thread_id == thread_id, _E.c.run_id.in_(beyond))
        first: int | None = await session.scalar(begun)
        if first is None or first > to:
            break
        to = first - 1
    return to
