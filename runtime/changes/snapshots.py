"""A snapshot before a turn's first changing tool, and one when the turn rests: a turn that only reads costs nothing."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import bindparam

from ...core.errors import CodeLabError
from ...store.engine import Database
from ...store.journal import Also, SqlJournal
from ...store.models import TurnRow
from ...store.models.base import table_of
from ...store.prepared import Transaction, prepared
from ...tools.context import CallKey, JournalEntry
from ...tools.snapshots import Snapshots
from ..journal import RunJournal
from ..runs.turns import ClaimedTurn

log = structlog.get_logger(__name__)

_TURNS = table_of(TurnRow)
_NOTE_BEFORE = prepared(
    _TURNS.update()
    .where(_TURNS.c.id == bindparam("turn"), _TURNS.c.snapshot_before.is_(None))
    .values(snapshot_before=bindparam("tree"))
)
_NOTE_AFTER = prepared(_TURNS.update().where(_TURNS.c.id == bindparam("turn")).values(snapshot_after=bindparam("tree")))


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
        self._warm: dict[str, asyncio.Task[str | None]] = {}
        self._before: dict[str, asyncio.Task[str | None]] = {}
        self._early: dict[str, tuple[str, asyncio.Task[str | None]]] = {}
        self._after: dict[str, set[asyncio.Task[None]]] = defaultdict(set)

    def calling(self, claimed: ClaimedTurn, tool: str) -> None:
        """Read the folder as soon as a changing tool is asked for: the snapshot itself is then one look.

        The snapshot is taken when the tool begins, not now: what a person changes while an approval is pending is
        theirs, and no undo may touch it.
        """
        turn = claimed.turn
        known = turn.snapshot_before is not None or turn.id in self._warm
        if tool in self._changing and not known and not self._snapshots.knows(Path(claimed.workspace_path)):
            self._warm[turn.id] = asyncio.create_task(self._captured(claimed))

    def going_on(self, claimed: ClaimedTurn) -> None:
        """Capture the folder while the graph is loaded: the approval is given, and its tool begins at once."""
        turn = claimed.turn
        if turn.snapshot_before is None and turn.id not in self._before:
            self._early[turn.id] = (claimed.run.id, asyncio.create_task(self._first(claimed)))

    async def before(self, claimed: ClaimedTurn) -> str | None:
        """Capture the folder before the turn's first effect; the calls of one step share it. None: nothing to note."""
        turn = claimed.turn
        if turn.snapshot_before is not None:
            return None
        if turn.id not in self._before:
            run_id, early = self._early.pop(turn.id, ("", None))
            # An earlier run's is of no use: people changed files while the turn waited again.
            fresh = early if run_id == claimed.run.id else None
            self._before[turn.id] = fresh or asyncio.create_task(self._first(claimed))
        return await asyncio.shield(self._before[turn.id])

    def rested(self, claimed: ClaimedTurn) -> None:
        """Take the second snapshot in the background, if something was changed."""
        turn = claimed.turn
        self._warm.pop(turn.id, None)
        self._early.pop(turn.id, None)
        first = self._before.pop(turn.id, None)
        before = first.result() if first is not None and first.done() else turn.snapshot_before
        if before is None:
            return
        task = asyncio.create_task(self._finish(claimed, before))
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
        if pending := [*self._warm.values(), *self._before.values(), *(task for _, task in self._early.values())]:
            await asyncio.wait(pending)
        for thread_id in list(self._after):
            await self.settled(thread_id)

    async def _first(self, claimed: ClaimedTurn) -> str | None:
        await self.settled(claimed.turn.thread_id)
        return await self._captured(claimed)

    async def _captured(self, claimed: ClaimedTurn) -> str | None:
        """Capture the folder; one that cannot be kept costs the undo, not the turn."""
        try:
            return await self._snapshots.capture(Path(claimed.workspace_path))
        except (CodeLabError, OSError) as exc:
            log.warning("snapshot_failed", turn_id=claimed.turn.id, error=str(exc))
            return None

    async def _finish(self, claimed: ClaimedTurn, before: str) -> None:
        turn, root = claimed.turn, Path(claimed.workspace_path)
        after = await self._captured(claimed)
        if after is None:
            return
        named = {"before": before, "after": after}
        try:
            await self._snapshots.keep(
                root, {snapshot_ref(turn.thread_id, turn.id, which): tree for which, tree in named.items()}
            )
        except (CodeLabError, OSError) as exc:
            log.warning("snapshot_failed", turn_id=turn.id, error=str(exc))
            return
        async with self._database.direct() as session:
            await session.execute(_NOTE_AFTER, {"turn": turn.id, "tree": after})


def snapshot_ref(thread_id: str, turn_id: str, which: str) -> str:
    """Name a snapshot inside git."""
    return f"refs/codelab/{thread_id}/{turn_id}/{which}"


class SnapshotJournal(RunJournal):
    """The run's journal, which has the folder kept before the turn's first journalled effect."""

    def __init__(self, journal: SqlJournal, snapshots: TurnSnapshots, claimed: ClaimedTurn) -> None:
        super().__init__(journal)
        self._snapshots = snapshots
        self._claimed = claimed

    async def begin(
        self, key: CallKey, *, tool: str, before: dict[str, Any] | None = None, also: Also | None = None
    ) -> JournalEntry:
        """Keep the folder, then record the start."""
        tree = await self._snapshots.before(self._claimed)

        async def note(session: Transaction) -> None:
            await session.execute(_NOTE_BEFORE, {"turn": self._claimed.turn.id, "tree": tree})

        return await super().begin(key, tool=tool, before=before, also=note if tree else also)
