"""Taking a pending run: one transaction that makes it running, says so in the log, and reads all that it needs."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from ...core.types import Principal
from ...store.eventlog import EventLog, LogTransaction, NewEvent
from ...store.lease import Lease
from ...store.models import RunRow, ThreadRow, TurnRow, WorkspaceRow
from ..scope import owner_of
from .repository import claim


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
            query = (
                select(TurnRow, WorkspaceRow.id, WorkspaceRow.path)
                .join(ThreadRow, ThreadRow.id == TurnRow.thread_id)
                .join(WorkspaceRow, WorkspaceRow.id == ThreadRow.workspace_id)
                .where(TurnRow.id == row.turn_id)
            )
            turn, workspace_id, path = (await writing.session.execute(query)).one()
            await writing.log(row.thread_id, [_started(row)], run_id=row.id, attempt=row.attempt)
            return Claimed(row, turn, workspace_id, path, Lease(row.id, row.attempt, owner))
    except IntegrityError:
        return None  # another run of the thread was faster


async def _lock_thread(writing: LogTransaction, run_id: str) -> None:
    if writing.locks_rows:
        of_run = select(RunRow.thread_id).where(RunRow.id == run_id).scalar_subquery()
        await writing.session.execute(
            select(ThreadRow.id).where(ThreadRow.id == of_run).with_for_update(key_share=True)
        )


def _started(row: RunRow) -> NewEvent:
    data = {"run_id": row.id, "turn_id": row.turn_id, "attempt": row.attempt}
    if row.resumes_run_id is not None:
        data["resumes_run_id"] = row.resumes_run_id
    return NewEvent("run.started", data)
