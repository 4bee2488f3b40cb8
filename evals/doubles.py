"""The handles of a run that lives in memory only: journal, artifacts, models by role, and notes of what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from langchain_core.language_models import BaseChatModel

from ..core.events import AgentSwitched, DomainEvent, EventBus, ToolCompleted
from ..core.types import new_id
from ..tools.context import CallKey, JournalEntry


class MemoryJournal:
    """The tool journal of one case."""

    def __init__(self) -> None:
        self._entries: dict[CallKey, JournalEntry] = {}

    async def begin(self, key: CallKey, *, tool: str, before: dict[str, Any] | None = None) -> JournalEntry:
        """Record a start, or tell what is known of an earlier one."""
        del tool
        known = self._entries.get(key)
        if known is None:
            self._entries[key] = JournalEntry(fresh=False, before=before)
            return JournalEntry(fresh=True, before=before)
        return known

    async def note_process(self, key: CallKey, pgid: int) -> None:
        """Record a command's process group."""
        known = self._entries.get(key)
        self._entries[key] = JournalEntry(fresh=False, pgid=pgid, before=known.before if known else None)

    async def finish(self, key: CallKey, result: dict[str, Any]) -> None:
        """Record the result."""
        self._entries[key] = JournalEntry(fresh=False, finished=True, result=result)


class MemoryArtifacts:
    """Long outputs of one case."""

    def __init__(self) -> None:
        self._texts: dict[tuple[str, str], str] = {}

    async def put(self, thread_id: str, text: str) -> str:
        """Keep a text; its id."""
        artifact_id = new_id()
        self._texts[thread_id, artifact_id] = text
        return artifact_id

    async def get(self, thread_id: str, artifact_id: str) -> str | None:
        """Fetch a text of the same thread."""
        return self._texts.get((thread_id, artifact_id))


@dataclass(frozen=True)
class RoleModels:
    """Models by role; a role that is not named gets `strong`."""

    roles: Mapping[str, BaseChatModel]

    def chat(self, role: str) -> BaseChatModel:
        """Return the model that plays `role`."""
        return self.roles.get(role) or self.roles["strong"]


@dataclass
class Notes:
    """What the domain events of one case say: who took over, which calls came back and how."""

    switches: list[AgentSwitched] = field(default_factory=list)
    calls: list[ToolCompleted] = field(default_factory=list)

    async def take(self, event: DomainEvent) -> None:
        """Subscribe this to a bus."""
        if isinstance(event, AgentSwitched):
            self.switches.append(event)
        elif isinstance(event, ToolCompleted):
            self.calls.append(event)

    def bus(self) -> EventBus:
        """Make a bus that reports here."""
        bus = EventBus()
        bus.subscribe(self.take)
        return bus
