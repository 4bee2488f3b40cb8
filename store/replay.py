"""What SQL holds of a thread's log: its head, and its records page by page."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, func, select

from ..core.errors import NotFound, Trimmed
from .engine import Database
from .models import RunEventRow, RunRow, ThreadRow
from .models.base import table_of
from .prepared import prepared
from .records import FINISHED, SUPERSEDED, Batch, LoggedEvent

PAGE: Final = 500
"""Records of one query; a reader holds no more than one page."""
_THREADS: Final = table_of(ThreadRow)
_EVENTS: Final = table_of(RunEventRow)
_RUNS: Final = table_of(RunRow)
_COLUMNS: Final = (
    _EVENTS.c.thread_id,
    _EVENTS.c.seq,
    _EVENTS.c.run_id,
    _EVENTS.c.attempt,
    _EVENTS.c.type,
    _EVENTS.c.data,
    _EVENTS.c.at,
)
_BEYOND: Final = (
    select(*_COLUMNS)
    .where(_EVENTS.c.thread_id == bindparam("thread"), _EVENTS.c.seq > bindparam("after"))
    .order_by(_EVENTS.c.seq)
)
_NEXT: Final = prepared(_BEYOND.limit(PAGE))
_MARKERS: Final = prepared(_BEYOND.where(_EVENTS.c.type == SUPERSEDED))
_HEAD: Final = (_THREADS.c.epoch, _THREADS.c.last_seq, _THREADS.c.trimmed_seq)
_HEAD_OF: Final = prepared(select(*_HEAD).where(_THREADS.c.id == bindparam("thread")))
_FIRST_OF_RUN: Final[ColumnElement[Any]] = (
    select(func.min(_EVENTS.c.seq)).where(_EVENTS.c.run_id == bindparam("run")).scalar_subquery()
)
_RUN_ENDED: Final[ColumnElement[Any]] = select(_RUNS.c.ended_at).where(_RUNS.c.id == bindparam("run")).scalar_subquery()
_START_OF_RUN: Final = prepared(
    select(*_HEAD, _FIRST_OF_RUN.label("first"), _RUN_ENDED.label("ended")).where(_THREADS.c.id == bindparam("thread"))
)
_FINISHED: Final = prepared(
    select(_EVENTS.c.seq)
    .where(_EVENTS.c.run_id == bindparam("run"), _EVENTS.c.type == FINISHED, _EVENTS.c.seq <= bindparam("after"))
    .limit(1)
)
_HEADS: Final = select(_THREADS.c.id, _THREADS.c.epoch, _THREADS.c.last_seq).where(
    _THREADS.c.id.in_(bindparam("threads", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Head:
    """How a thread's log stands: records `trimmed_seq + 1` to `last_seq` are there."""

    epoch: str
    last_seq: int
    trimmed_seq: int


class Replay:
    """Reads logs."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def pages(self, thread_id: str, after: int | None) -> Pages:
        """Read from a point on; None: whatever is left."""
        return Pages(self, thread_id, after)

    async def head(self, thread_id: str) -> Head | None:
        """Tell how a log stands; None when there is no such thread."""
        async with self._database.direct(write=False) as session:
            row = (await session.execute(_HEAD_OF, {"thread": thread_id})).one_or_none()
        return None if row is None else Head(row.epoch, row.last_seq, row.trimmed_seq)

    async def heads(self, threads: Collection[str]) -> dict[str, tuple[str, int]]:
        """Tell epoch and last `seq` of many threads in one query; those that are gone are left out."""
        async with self._database.read() as session:
            rows = await session.execute(_HEADS, {"threads": list(threads)})
        return {row.id: (row.epoch, row.last_seq) for row in rows}

    async def start_of(self, run_id: str, thread_id: str, after: int | None) -> int | None:
        """Tell after which record to read on for the rest of a run's; None when there is no more.

        Raises:
            NotFound: There is no such thread.
            Trimmed: The run's records are gone.
        """
        async with self._database.direct(write=False) as session:
            row = (await session.execute(_START_OF_RUN, {"run": run_id, "thread": thread_id})).one_or_none()
        if row is None:
            raise NotFound("There is no such thread")
        if row.first is None and row.ended is not None and row.trimmed_seq:
            if after is not None and after < row.trimmed_seq:
                raise trimmed(row.trimmed_seq + 1)
            return None
        begun: int = row.last_seq if row.first is None else row.first - 1
        if not after or after <= begun:
            return begun
        return None if await self._has_finished(run_id, after) else after

    async def _has_finished(self, run_id: str, by: int) -> bool:
        async with self._database.direct(write=False) as session:
            return (await session.execute(_FINISHED, {"run": run_id, "after": by})).first() is not None

    async def page(self, thread_id: str, after: int) -> list[LoggedEvent]:
        """Read the next records, at most `PAGE`."""
        return await self._select(_NEXT, thread_id, after)

    async def markers(self, thread_id: str, after: int) -> list[LoggedEvent]:
        """Read what hides records of earlier pages."""
        return await self._select(_MARKERS, thread_id, after)

    async def _select(self, query: Any, thread_id: str, after: int) -> list[LoggedEvent]:
        async with self._database.direct(write=False) as session:
            rows = (await session.execute(query, {"thread": thread_id, "after": after})).all()
        return [LoggedEvent(*row) for row in rows]


class Pages:
    """One reading of a log, page by page. What a page hides depends on markers that may come much later."""

    def __init__(self, replay: Replay, thread_id: str, after: int | None) -> None:
        self._replay = replay
        self._thread_id = thread_id
        self._after = after
        self._markers: Sequence[LoggedEvent] | None = None
        self._ended = False
        self.found = False

    async def next(self) -> Batch | None:
        """Read a page; None when there is no more.

        Raises:
            Trimmed: Records between the last page and this one are gone.
        """
        if self._ended:
            return None
        page = await self._replay.page(self._thread_id, self._after or 0)
        self._ended = len(page) < PAGE
        if not page:
            return None
        if self._after is not None and page[0].seq > self._after + 1:
            raise trimmed(page[0].seq)
        self._after, self.found = page[-1].seq, True
        return Batch(page, await self._later())

    async def _later(self) -> Sequence[LoggedEvent]:
        if self._ended:
            return self._markers or ()
        if self._markers is None:
            self._markers = await self._replay.markers(self._thread_id, self._after or 0)
        return self._markers


def trimmed(first_seq: int) -> Trimmed:
    """Make the error of whoever reads from before the log's beginning."""
    return Trimmed(
        "These records of the thread are no longer kept; read its state, and the log from `first_seq` on.",
        first_seq=first_seq,
    )
