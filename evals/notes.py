"""What the domain events of one turn say: who took over, which calls came back and how."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..core.events import AgentSwitched, DomainEvent, EventBus, ToolCompleted


@dataclass
class Notes:
    """A subscriber that remembers."""

    switches: list[AgentSwitched] = field(default_factory=list)
    calls: list[ToolCompleted] = field(default_factory=list)

    async def take(self, event: DomainEvent) -> None:
        """Note one event."""
        if isinstance(event, AgentSwitched):
            self.switches.append(event)
        elif isinstance(event, ToolCompleted):
            self.calls.append(event)

    def bus(self) -> EventBus:
        """Make a bus that reports here."""
        bus = EventBus()
        bus.subscribe(self.take)
        return bus
