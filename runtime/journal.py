"""The tool journal of one run, in the terms of the tools."""

from __future__ import annotations

from typing import Any

from ..store.journal import Also, SqlJournal
from ..tools.context import CallKey, JournalEntry


class RunJournal:
    """Records what a run's tools begin and finish.

    Args:
        journal: Writes under the run's lease.
    """

    def __init__(self, journal: SqlJournal) -> None:
        self._journal = journal

    async def begin(
        self, key: CallKey, *, tool: str, before: dict[str, Any] | None = None, also: Also | None = None
    ) -> JournalEntry:
        """Record a start, and `also` what belongs to it; or tell what an earlier attempt recorded."""
        known = await self._journal.begin(key, tool=tool, before=before, also=also)
        return JournalEntry(
            fresh=known.fresh, finished=known.finished, pgid=known.pgid, before=known.before, result=known.result
        )

    async def note_process(self, key: CallKey, pgid: int) -> None:
        """Record the process group of the command that was just started."""
        await self._journal.note_process(key, pgid)

    async def finish(self, key: CallKey, result: dict[str, Any]) -> None:
        """Record the result."""
        await self._journal.finish(key, result)
