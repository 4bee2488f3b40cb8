"""Taking a pending run: one transaction that makes it running and reads all that it needs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError

from ...core.types import Principal
from ...store.eventlog import EventLog, LogTransaction
from ...store.lease import Lease
from ...store.models import RunRow, ThreadRow, TurnRow, WorkspaceRow
from ...store.records import NewEvent
from ..scope import owner_of
from .repository import claim

_PLACE = (
    select(TurnRow, WorkspaceRow.id, WorkspaceRow.path)
    .join(ThreadRow, ThreadRow.id == TurnRow.thread_id)
    .join(WorkspaceRow, WorkspaceRow.id == ThreadRow.workspace_id)
    .where(TurnRow.id == bindparam("turn"))
)
_THREAD_OF_RUN = select(RunRow.thread_id).where(RunRow.id == bindparam("run")).scalar_subquery()
_LOCK = select(ThreadRow.id).where(ThreadRow.id == _THREAD_OF_RUN).with_for_update(key_share=True)


@dataclass(frozen=True)
class Claimed:
    """A run that this process now owns, with what it stands in."""

    run: RunRow
    turn: TurnRow
    workspace_id: str
    workspace_path: str
    lease: Lease

    @property
    def principal(self) -> Principal:
        """Whose run it is."""
        return owner_of(self.run)


async def take(log: EventLog, run_id: str, owner: str) -> Claimed | None:
    """Claim a run; None when it is gone, taken, or its thread is running another."""
    try:
        async with log.transaction() as writing:
            await _lock_thread(writing, run_id)
            row = await claim(writing.session, run_id, owner)
            if row is None:
                return None
            turn, workspace_id, path = (await writing.session.execute(_PLACE, {"turn": row.turn_id})).one()
            return Claimed(row, turn, workspace_id, path, Lease(row.id, row.attempt, owner))
    except IntegrityError:
        return None  # another run of the thread was faster


async def _lock_thread(writing: LogTransaction, run_id: str) -> None:
    if writing.locks_rows:
        await writing.session.execute(_LOCK, {"run": run_id})


def started(row: RunRow, *, again: bool) -> NewEvent:
    """Say that a run begins; `again` when an earlier delivery said so already."""
    data = {"run_id": row.id, "turn_id": row.turn_id, "attempt": row.attempt, "again": again}
    if row.resumes_run_id is not None:
        data["resumes_run_id"] = row.resumes_run_id
    return NewEvent("run.started", data)
