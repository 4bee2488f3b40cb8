"""All changes of a thread as one diff, and taking one turn back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import select, update

from ...core.errors import Conflict, NotFound
from ...core.types import Principal, utc_now
from ...store.engine import Database
from ...store.models import ThreadRow, TurnRow
from ...tools.snapshots import Snapshots
from ..runs.repository import active_run
from ..scope import mine
from ..threads.repository import get_thread
from ..workspaces.repository import get_workspace
from .schemas import Changes, TurnChanges, Undone
from .snapshots import TurnSnapshots

_HEAD = "refs/codelab/{thread_id}/undone"


class ChangeService:
    """What the turns of a thread did to the files.

    Args:
        database: Where the rows are.
        snapshots: Compares and restores.
        turns: Takes snapshots in the background.
    """

    def __init__(self, *, database: Database, snapshots: Snapshots, turns: TurnSnapshots) -> None:
        self._database = database
        self._snapshots = snapshots
        self._turns = turns

    async def diff(self, principal: Principal, thread_id: str) -> Changes:
        """Show everything that the thread's turns changed, from before the first to after the last."""
        root, turns = await self._load(principal, thread_id)
        shown = [TurnChanges(turn_id=t.id, created_at=t.created_at, undone_at=t.undone_at) for t in turns]
        if not turns:
            return Changes(thread_id=thread_id, diff="", turns=shown)
        newest = await self._newest(root, thread_id, turns)
        before = turns[0].snapshot_before or ""
        return Changes(thread_id=thread_id, diff=await self._snapshots.diff(root, before, newest), turns=shown)

    async def undo(self, principal: Principal, thread_id: str, turn_id: str) -> Undone:
        """Put back what one turn changed.

        Raises:
            NotFound: The turn changed nothing.
            Conflict: `thread_busy`, `already_undone`, or `stale_file`: a file changed since; nothing was touched.
        """
        root, turns = await self._load(principal, thread_id)
        turn = next((each for each in turns if each.id == turn_id), None)
        if turn is None:
            raise NotFound("This turn changed nothing that could be undone")
        if turn.undone_at is not None:
            raise Conflict("This turn was undone already", code="already_undone")
        await self._refuse_busy(thread_id)
        files = await self._snapshots.restore(root, turn.snapshot_before or "", turn.snapshot_after or "")
        await self._snapshots.take(root, _HEAD.format(thread_id=thread_id))
        async with self._database.transaction() as session:
            await session.execute(update(TurnRow).where(TurnRow.id == turn_id).values(undone_at=utc_now()))
        return Undone(turn_id=turn_id, files=files)

    async def _load(self, principal: Principal, thread_id: str) -> tuple[Path, Sequence[TurnRow]]:
        await self._turns.settled(thread_id)
        query = (
            select(TurnRow)
            .where(TurnRow.thread_id == thread_id, mine(TurnRow, principal))
            .where(TurnRow.snapshot_before.is_not(None), TurnRow.snapshot_after.is_not(None))
            .order_by(TurnRow.created_at, TurnRow.id)
        )
        async with self._database.read() as session:
            thread: ThreadRow = await get_thread(session, principal, thread_id)
            if thread.workspace_id is None:
                raise NotFound("This thread has no workspace, so there are no changes")
            workspace = await get_workspace(session, principal, thread.workspace_id)
            return Path(workspace.path), (await session.scalars(query)).all()

    async def _newest(self, root: Path, thread_id: str, turns: Sequence[TurnRow]) -> str:
        undone = [turn.undone_at for turn in turns if turn.undone_at is not None]
        ended = turns[-1].ended_at
        if undone and (ended is None or max(undone) > ended):
            found = await self._snapshots.find(root, _HEAD.format(thread_id=thread_id))
            if found is not None:
                return found
        return turns[-1].snapshot_after or ""

    async def _refuse_busy(self, thread_id: str) -> None:
        async with self._database.read() as session:
            if await active_run(session, thread_id) is not None:
                raise Conflict("A run of this thread is not finished; wait for it or cancel it", code="thread_busy")
