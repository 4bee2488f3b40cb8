"""What executing a run needs, in one place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from langgraph.graph.state import CompiledStateGraph

from ...core.events import EventBus
from ...core.settings import Settings
from ...store.checkpoints import Checkpoints
from ...store.eventlog import EventLog
from ...tools.context import RunContext
from .claiming import Claimed


class TurnHooks(Protocol):
    """What else happens around the runs of a turn (snapshots of its workspace)."""

    def calling(self, claimed: Claimed, tool: str) -> None:
        """The model asks for a tool, which may still need an approval; must not block."""
        ...

    def rested(self, claimed: Claimed) -> None:
        """The turn came to rest; must not block."""
        ...


class ContextMaker(Protocol):
    """Builds what nodes and tools act with."""

    def context(self, claimed: Claimed) -> RunContext:
        """Make the context of one run."""
        ...


@dataclass(frozen=True, kw_only=True)
class Engine:
    """The graph, where its state goes, who is told, and the limits."""

    graph: CompiledStateGraph[Any, Any, Any, Any]
    checkpoints: Checkpoints
    log: EventLog
    bus: EventBus
    contexts: ContextMaker
    hooks: TurnHooks
    settings: Settings
