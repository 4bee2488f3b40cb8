"""A journal and artifacts in memory: for embedding, Studio and tests. They ship; they forget when the process ends."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any

from ..core.types import new_id
from .context import CallKey, JournalEntry

_KEPT = 10_000
_MAX_TEXT = 2_000_000


class MemoryJournal:
    """A `Journal` that lasts as long as the process; the oldest entries beyond 10 000 go."""

    def __init__(self) -> None:
        self._entries: OrderedDict[CallKey, JournalEntry] = OrderedDict()

    async def begin(self, key: CallKey, *, tool: str, before: dict[str, Any] | None = None) -> JournalEntry:  # noqa: ARG002 - the seam's shape
        """See `Journal`."""
        known = self._entries.get(key)
        if known is not None:
            return replace(known, fresh=False)
        entry = JournalEntry(fresh=True, before=before)
        self._entries[key] = entry
        if len(self._entries) > _KEPT:
            self._entries.popitem(last=False)
        return entry

    async def note_process(self, key: CallKey, pgid: int) -> None:
        """See `Journal`."""
        if key in self._entries:
            self._entries[key] = replace(self._entries[key], pgid=pgid)

    async def finish(self, key: CallKey, result: dict[str, Any]) -> None:
        """See `Journal`."""
        if key in self._entries:
            self._entries[key] = replace(self._entries[key], finished=True, result=result)


class MemoryArtifacts:
    """`Artifacts` that last as long as the process; the oldest beyond 200 go."""

    def __init__(self) -> None:
        self._texts: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def put(self, thread_id: str, text: str) -> str:
        """See `Artifacts`."""
        name = new_id()
        self._texts[thread_id, name] = text[:_MAX_TEXT]
        if len(self._texts) > 200:  # noqa: PLR2004 - said above
            self._texts.popitem(last=False)
        return name

    async def get(self, thread_id: str, artifact_id: str) -> str | None:
        """See `Artifacts`."""
        return self._texts.get((thread_id, artifact_id))
