"""Writing to the event log: `seq` is taken from the thread's row, in the transaction that inserts the records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import String, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..core.errors import NotFound
from ..core.types import utc_now
from .inserting import insert
from .models import ThreadRow
from .models.base import table_of
from .records import LoggedEvent, Move, NewEvent, Taking
from .texts import dump_json

_THREADS: Final = table_of(ThreadRow)
_TAKE: Final = (
    _THREADS.update()
    .where(_THREADS.c.id == bindparam("thread"))
    .values(last_seq=_THREADS.c.last_seq + bindparam("count"))
    .returning(_THREADS.c.last_seq, _THREADS.c.owner_id, _THREADS.c.tenant_id)
)
_MOVE: Final = (
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
_LOCK: Final = select(_THREADS.c.id).where(_THREADS.c.id == bindparam("thread")).with_for_update(key_share=True)


class LogTransaction:
    """A database transaction that also logs; what it logged is announced once it has committed.

    Rows are locked in one order, thread before run, or two transactions wait for each other: whoever touches other rows
    of a thread logs first, or calls `lock`.
    """

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.written: list[LoggedEvent] = []

    @property
    def locks_rows(self) -> bool:
        """Whether rows are locked one by one: SQLite has one writer anyway."""
        return self.session.get_bind().dialect.name != "sqlite"

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
        move: Move | Taking | None = None,
    ) -> list[LoggedEvent]:
        """Append to a thread's log, and move the thread on with it; `NotFound` when the thread is gone."""
        new = [(event.type, event.text or dump_json(event.data)) for event in events]
        if not new:
            return []
        row = (await self.session.execute(*_taking(thread_id, len(new), move))).one_or_none()
        if row is None:
            raise NotFound("There is no such thread")
        first, at = row.last_seq - len(new) + 1, utc_now()
        # Live readers get what a replay will give: not the writer's own objects, which may change later.
        logged = [
            LoggedEvent(thread_id, seq, run_id, attempt, kind, text, at) for seq, (kind, text) in enumerate(new, first)
        ]
        await insert(self.session, logged, owner_id=row.owner_id, tenant_id=row.tenant_id)
        self.written += logged
        return logged


def _taking(thread_id: str, count: int, move: Move | Taking | None) -> tuple[Any, dict[str, Any]]:
    taken: dict[str, Any] = {"thread": thread_id, "count": count}
    if move is None:
        return _TAKE, taken
    if isinstance(move, Taking):
        return move.statement, taken | move.values
    moved = {"moved_to": move.status, "now": utc_now(), "held_by": move.agent, "named": move.title}
    return _MOVE, taken | moved
