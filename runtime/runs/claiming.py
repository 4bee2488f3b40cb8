"""Taking a pending run: one transaction that makes it running and reads all that it needs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Update, bindparam, exists, inspect, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import aliased

from ...core.types import RunStatus, utc_now
from ...store.lease import Lease
from ...store.models import RunRow
from ...store.models.base import table_of
from ...store.records import NewEvent
from .engine import Claimed, Engine

_OTHER, _EARLIER = aliased(RunRow), aliased(RunRow)
_DUE = or_(RunRow.not_before.is_(None), RunRow.not_before <= bindparam("now"))
_EARLIER_DUE = or_(_EARLIER.not_before.is_(None), _EARLIER.not_before <= bindparam("now"))
_NEXT = (
    select(RunRow.id)
    .where(RunRow.status == RunStatus.PENDING, _DUE, RunRow.kind.in_(bindparam("kinds", expanding=True)))
    .where(~exists().where(_OTHER.thread_id == RunRow.thread_id, _OTHER.status == RunStatus.RUNNING))
    .where(
        # A run that began already goes on before any other: the thread stands in the middle of it.
        (RunRow.attempt > 0)
        | ~exists().where(
            _EARLIER.thread_id == RunRow.thread_id,
            _EARLIER.status == RunStatus.PENDING,
            _EARLIER_DUE,
            or_(
                _EARLIER.attempt > 0,
                _EARLIER.created_at < RunRow.created_at,
                (_EARLIER.created_at == RunRow.created_at) & (_EARLIER.id < RunRow.id),
            ),
        )
    )
    .order_by(RunRow.priority.desc(), RunRow.created_at, RunRow.id)
    .limit(bindparam("most"))
)
_RUNS = table_of(RunRow)
_COLUMNS = {attribute.key: attribute.columns[0] for attribute in inspect(RunRow).column_attrs}
_TAKEN = {
    "status": RunStatus.RUNNING,
    "owner": bindparam("by"),
    "heartbeat_at": bindparam("now"),
    "started_at": bindparam("now"),
    "updated_at": bindparam("now"),
    "attempt": RunRow.attempt + 1,
}


def _claim(locks_rows: bool) -> Update:  # noqa: FBT001 - one of two statements
    # Read once, before any row changes: PostgreSQL might look anew for each row.
    chosen = (_NEXT.with_for_update(skip_locked=True, of=RunRow) if locks_rows else _NEXT).cte("chosen")
    return (
        _RUNS.update()
        .where(RunRow.id.in_(select(chosen.c.id)), RunRow.status == RunStatus.PENDING)
        .values(_TAKEN)
        .returning(*_COLUMNS.values())
    )


_CLAIMS = {locks: _claim(locks) for locks in (False, True)}


async def take_due(engine: Engine, owner: str, most: int) -> list[Claimed]:
    """Claim the runs that are due first: highest priority, then oldest, one per thread; fewer when none is free."""
    database = engine.log.database
    for tried in (most, 1, 1):
        try:
            async with database.transaction() as session:
                statement = _CLAIMS[not database.is_sqlite]
                asked = {"by": owner, "now": utc_now(), "kinds": list(engine.drivers), "most": tried}
                found = await session.execute(statement, asked)
                rows = [RunRow(**dict(zip(_COLUMNS, row, strict=True))) for row in found]
                return [
                    await engine.drivers[row.kind].claimed(session, row, Lease(row.id, row.attempt, owner))
                    for row in sorted(rows, key=lambda row: (-row.priority, row.created_at, row.id))
                ]
        except IntegrityError:
            continue  # another run of one's thread was claimed at the same moment
    return []


def take_at_birth(row: RunRow, owner: str) -> Lease:
    """Claim a run that is about to be inserted: it begins as running, and no other process ever sees it pending."""
    row.status, row.owner, row.attempt = RunStatus.RUNNING, owner, 1
    row.heartbeat_at = row.started_at = row.updated_at = utc_now()
    return Lease(row.id, 1, owner)


def started(row: RunRow, *, again: bool) -> NewEvent:
    """Say that a run begins; `again` when an earlier delivery said so already."""
    data = {"run_id": row.id, "attempt": row.attempt, "again": again}
    if row.turn_id is not None:
        data["turn_id"] = row.turn_id
    if row.resumes_run_id is not None:
        data["resumes_run_id"] = row.resumes_run_id
    return NewEvent("run.started", data | of_graph(row))


def of_graph(row: RunRow) -> dict[str, Any]:
    """Name a run's graph, and whether it tells its own lifecycle in the words of the thread protocol."""
    if row.graph_id is None:
        return {}
    return {"graph_id": row.graph_id, **({"protocol": True} if (row.kwargs or {}).get("protocol") else {})}
