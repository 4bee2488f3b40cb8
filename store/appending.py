"""Writing to the event log: `seq` is taken from the thread's row, in the transaction that inserts the records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, String, Update, bindparam, func, select

from ..core.errors import NotFound
from ..core.types import utc_now
from .inserting import insert
from .models import ThreadRow
from .models.base import table_of
from .prepared import Session, prepared
from .records import Append, LoggedEvent, Move, NewEvent
from .several import filled, one_of, size_for
from .texts import dump_json

_THREADS: Final = table_of(ThreadRow)
_TAKE: Final = prepared(
    _THREADS.update()
    .where(_THREADS.c.id == bindparam("thread"))
    .values(last_seq=_THREADS.c.last_seq + bindparam("count"))
    .returning(_THREADS.c.last_seq, _THREADS.c.owner_id, _THREADS.c.tenant_id)
)
_MOVE: Final = prepared(
    _THREADS.update()
    .where(_THREADS.c.id == bindparam("thread"))
    .values(
        last_seq=_THREADS.c.last_seq + bindparam("count"),
        status=bindparam("moved_to"),
        updated_at=bindparam("now"),
        agent=func.coalesce(bindparam("held_by", type_=String), _THREADS.c.agent),
        title=func.coalesce(_THREADS.c.title, bindparam("named", type_=String)),
    )
    .returning(_THREADS.c.last_seq, _THREADS.c.owner_id, _THREADS.c.tenant_id)
)
_LOCK: Final = prepared(
    select(_THREADS.c.id).where(_THREADS.c.id == bindparam("thread")).with_for_update(key_share=True)
)


@cache
def _heads(size: int) -> Select[Any]:
    return prepared(
        select(_THREADS.c.id, _THREADS.c.last_seq, _THREADS.c.owner_id, _THREADS.c.tenant_id)
        .where(one_of(_THREADS.c.id, "thread", size))
        .order_by(_THREADS.c.id)
        .with_for_update(key_share=True)
    )


class LogTransaction:
    """A database transaction that also logs; what it logged is announced once it has committed.

    Rows are locked in one order, thread before run, or two transactions wait for each other: whoever touches other rows
    of a thread logs first, or calls `lock`.
    """

    def __init__(self, session: Session) -> None:
        self.session = session
        self.written: list[LoggedEvent] = []

    @property
    def locks_rows(self) -> bool:
        """Whether rows are locked one by one: SQLite has one writer anyway."""
        return self.session.dialect.name != "sqlite"

    async def lock(self, thread_id: str) -> None:
        """Keep everybody else from changing the thread until this transaction ends."""
        if self.locks_rows:
            await self.session.execute(_LOCK, {"thread": thread_id})

    async def log(
        self,
        thread_id: str,
        events: Iterable[NewEvent],
        *,
        run_id: str | None = None,
        attempt: int = 0,
        move: Move | None = None,
    ) -> list[LoggedEvent]:
        """Append to a thread's log, and move the thread on with it; `NotFound` when the thread is gone."""
        append = Append(thread_id, list(events), run_id, attempt)
        count = len(append.events)
        if not count:
            return []
        row = (await self.session.execute(*_taking(thread_id, count, move))).one_or_none()
        if row is None:
            raise NotFound("There is no such thread")
        logged = _logged(append, after=row.last_seq - count, at=utc_now())
        await insert(self.session, logged, {thread_id: (row.owner_id, row.tenant_id)})
        self.written += logged
        return logged

    async def log_each(self, appends: Sequence[Append], moving: Update) -> None:
        """Append to the logs of several threads, once to each, and move the threads on with it.

        Args:
            appends: In any order: the threads are locked in one.
            moving: A prepared update of the row `:thread` that adds `:count` to `last_seq`; each one's `moves` are the
                rest of its parameters.

        Raises:
            NotFound: One of the threads is gone.
        """
        ids = [append.thread_id for append in appends]
        found = await self.session.execute(_heads(size_for(ids)), filled("thread", ids))
        heads = {row.id: row for row in found}
        if len(heads) < len(appends):
            raise NotFound("There is no such thread")
        at = utc_now()
        logged = [
            event for append in appends for event in _logged(append, after=heads[append.thread_id].last_seq, at=at)
        ]
        moves = [{"thread": append.thread_id, "count": len(append.events), **append.moves} for append in appends]
        await self.session.change(moving, moves)
        await insert(self.session, logged, {row.id: (row.owner_id, row.tenant_id) for row in heads.values()})
        self.written += logged


def _logged(append: Append, *, after: int, at: datetime) -> list[LoggedEvent]:
    """Number records. Live readers get what a replay will give: not the writer's own objects, which may change."""
    return [
        LoggedEvent(append.thread_id, seq, append.run_id, append.attempt, new.type, new.text or dump_json(new.data), at)
        for seq, new in enumerate(append.events, after + 1)
    ]


def _taking(thread_id: str, count: int, move: Move | None) -> tuple[Any, dict[str, Any]]:
    taken: dict[str, Any] = {"thread": thread_id, "count": count}
    if move is None:
        return _TAKE, taken
    moved = {"moved_to": move.status, "now": utc_now(), "held_by": move.agent, "named": move.title}
    return _MOVE, taken | moved
