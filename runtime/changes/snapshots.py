"""A snapshot before a turn's first changing tool, and one when the turn rests: a turn that only reads costs nothing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import update

from ...core.errors import CodeLabError
from ...store.engine import Database
from ...store.journal import SqlJournal
from ...store.models import TurnRow
from ...tools.context import CallKey, JournalEntry
from ...tools.snapshots import Snapshots
from ..runs.claiming import Claimed

log = structlog.get_logger(__name__)


class TurnSnapshots:
    """Takes a turn's two snapshots and notes them on its row.

    Args:
        database: Where the rows are.
        snapshots: Takes them.
        changing: Tools that may change files.
    """

    def __init__(self, database: Database, snapshots: Snapshots, *, changing: Collection[str] = ()) -> None:
        self._database = database
        self._snapshots = snapshots
        self._changing = frozenset(changing)
        self._began: set[str] = set()
        self._before: dict[str, asyncio.Task[str | None]] = {}
        self._after: dict[str, set[asyncio.Task[None]]] = defaultdict(set)

    def calling(self, claimed: Claimed, tool: str) -> None:
        """Begin with the first snapshot as soon as a changing tool is asked for: it may be done when the tool runs."""
        turn = claimed.turn
        if tool in self._changing and turn.snapshot_before is None and turn.id not in self._before:
            self._before[turn.id] = asyncio.create_task(self._first(claimed))

    async def before(self, claimed: Claimed) -> None:
        """Make sure that the turn's first snapshot exists; calls of one step share it."""
        turn = claimed.turn
        self._began.add(turn.id)
        if turn.snapshot_before is None:
            if turn.id not in self._before:
                self._before[turn.id] = asyncio.create_task(self._first(claimed))
            await asyncio.shield(self._before[turn.id])

    def rested(self, claimed: Claimed) -> None:
        """Take the second snapshot in the background, if something was changed."""
        turn = claimed.turn
        self._before.pop(turn.id, None)
        if turn.id not in self._began and turn.snapshot_before is None:
            return
        self._began.discard(turn.id)
        task = asyncio.create_task(self._finish(claimed))
        self._after[turn.thread_id].add(task)
        task.add_done_callback(self._after[turn.thread_id].discard)

    async def settled(self, thread_id: str) -> None:
        """Wait for what is being taken in the background."""
        tasks = self._after.get(thread_id)
        if tasks:
            await asyncio.wait(set(tasks))
        elif tasks is not None:
            del self._after[thread_id]

    async def close(self) -> None:
        """Wait for everything in the background."""
        if self._before:
            await asyncio.wait(self._before.values())
        for thread_id in list(self._after):
            await self.settled(thread_id)

    async def _first(self, claimed: Claimed) -> str | None:
        await self.settled(claimed.turn.thread_id)
        return await self._take(claimed, "before")

    async def _finish(self, claimed: Claimed) -> None:
        await self._take(claimed, "after")

    async def _take(self, claimed: Claimed, which: str) -> str | None:
        """Take and note one; a folder that cannot be kept costs the undo, not the turn."""
        try:
            return await self._noted(claimed, which)
        except (CodeLabError, OSError) as exc:
            log.warning("snapshot_failed", turn_id=claimed.turn.id, which=which, error=str(exc))
            return None

    async def _noted(self, claimed: Claimed, which: str) -> str | None:
        turn = claimed.turn
        commit = await self._snapshots.take(Path(claimed.workspace_path), snapshot_ref(turn.thread_id, turn.id, which))
        values: dict[str, Any] = {f"snapshot_{which}": commit}
        async with self._database.transaction() as session:
            await session.execute(update(TurnRow).where(TurnRow.id == turn.id).values(**values))
        return commit


def snapshot_ref(thread_id: str, turn_id: str, which: str) -> str:
    """Name a snapshot inside git."""
    return f"refs/codelab/{thread_id}/{turn_id}/{which}"


class SnapshotJournal:
    """The run's journal, which has the folder kept before the turn's first journalled effect."""

    def __init__(self, journal: SqlJournal, snapshots: TurnSnapshots, claimed: Claimed) -> None:
        self._journal = journal
        self._snapshots = snapshots
        self._claimed = claimed

    async def begin(self, key: CallKey, *, tool: str, before: dict[str, Any] | None = None) -> JournalEntry:
        """Keep the folder, then record the start."""
        await self._snapshots.before(self._claimed)
        known = await self._journal.begin(key, tool=tool, before=before)
        return JournalEntry(
            fresh=known.fresh, finished=known.finished, pgid=known.pgid, before=known.before, result=known.result
        )

    async def note_process(self, key: CallKey, pgid: int) -> None:
        """Record the process group of the command that was just started."""
        await self._journal.note_process(key, pgid)

    async def finish(self, key: CallKey, result: dict[str, Any]) -> None:
        """Record the result."""
        await self._journal.finish(key, result)
