"""Threads as new runs find them, and how they stand with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from sqlalchemy import Select, bindparam, func, select

from ...core.errors import Conflict, NotFound
from ...core.types import Principal, ThreadStatus, new_id, utc_now
from ...store.models import RunRow, ThreadRow
from ...store.models.base import table_of
from ...store.prepared import Transaction, prepared
from ...store.rows import insert_rows
from ...store.several import filled, one_of, size_for
from ..threads.repository import new_thread

NO_THREAD: Final = "Thread or assistant not found."
_THREADS: Final = table_of(ThreadRow)
_FOUND: Final = ("id", "owner_id", "tenant_id", "workspace_id", "last_seq", "metadata", "interrupts")
_OCCUPY: Final = prepared(
    _THREADS.update()
    .where(_THREADS.c.id == bindparam("thread"))
    .values(
        metadata=bindparam("new_meta", type_=_THREADS.c.metadata.type),
        status=func.coalesce(bindparam("new_status", type_=_THREADS.c.status.type), _THREADS.c.status),
        updated_at=func.coalesce(bindparam("now", type_=_THREADS.c.updated_at.type), _THREADS.c.updated_at),
    )
)


@dataclass(frozen=True, slots=True)
class Standing:
    """A thread before a run of it is stored.

    Attributes:
        id: The thread.
        fresh: Whether it is to be made.
        last_seq: The end of its log.
        meta: Its metadata.
        interrupts: What its newest run asks.
    """

    id: str
    fresh: bool = True
    last_seq: int = 0
    meta: Mapping[str, Any] = field(default_factory=dict)
    interrupts: Mapping[str, Any] = field(default_factory=dict)


@cache
def _found(size: int) -> Select[Any]:
    return prepared(
        select(*(_THREADS.c[name] for name in _FOUND))
        .where(one_of(_THREADS.c.id, "thread", size))
        .order_by(_THREADS.c.id)
        .with_for_update(key_share=True)
    )


async def found(session: Transaction, thread_ids: Sequence[str]) -> Mapping[str, Any]:
    """Fetch threads, whosever they are, and keep everybody else from changing them until the transaction ends."""
    if not thread_ids:
        return {}
    rows = await session.execute(_found(size_for(thread_ids)), filled("thread", thread_ids))
    return {row.id: row for row in rows}


def standing(principal: Principal, thread_id: str | None, row: Any, *, create: bool) -> Standing:
    """Tell how a principal finds a thread; `row` is what `found` told of it.

    Raises:
        NotFound: There is none of this principal's, and none of this id may be made.
        Conflict: It belongs to a workspace.
    """
    if thread_id is None or (row is None and create):
        return Standing(thread_id or new_id())
    if row is None or (row.owner_id, row.tenant_id) != (principal.user_id, principal.tenant_id):
        raise NotFound(NO_THREAD)
    if row.workspace_id is not None:
        raise Conflict(f"This thread belongs to a workspace; its turns start at /api/v1/threads/{thread_id}/runs")
    return Standing(thread_id, fresh=False, last_seq=row.last_seq, meta=row.metadata, interrupts=row.interrupts)


async def occupy(session: Transaction, runs: Sequence[tuple[Principal, Standing, RunRow]]) -> None:
    """Note runs on their threads, each of which is busy from now on, unless its run starts later."""
    now = utc_now()
    new: list[ThreadRow] = []
    old: list[dict[str, Any]] = []
    for principal, thread, run in runs:
        marks = {"graph_id": run.graph_id, "assistant_id": run.assistant_id}
        busy = run.not_before is None
        if thread.fresh:
            row = new_thread(principal, thread_id=thread.id)
            row.meta, row.status = {**row.meta, **marks}, ThreadStatus.BUSY if busy else row.status
            new.append(row)
        else:
            moved = {"new_status": ThreadStatus.BUSY.value if busy else None, "now": now if busy else None}
            old.append({"thread": thread.id, "new_meta": {**thread.meta, **marks}, **moved})
    if new:
        await insert_rows(session, *sorted(new, key=lambda row: row.id))
    if old:
        await session.change(_OCCUPY, old)
