"""The assistants that every graph has, as a catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ...core.types import Principal
from ..graphs.registry import GraphRegistry, system_assistant_id


@dataclass(frozen=True)
class SystemAssistant:
    """A graph's own assistant."""

    assistant_id: str
    graph_id: str
    name: str
    description: str | None
    config: dict[str, Any] = field(default_factory=dict)


class GraphCatalog:
    """Lists the graphs' own assistants.

    Args:
        graphs: The graphs.
    """

    def __init__(self, graphs: GraphRegistry) -> None:
        self._all = [
            SystemAssistant(system_assistant_id(name), name, name, graphs.description(name)) for name in graphs.ids
        ]

    async def listed(self, _principal: Principal, *, limit: int, offset: int) -> Sequence[SystemAssistant]:
        """Everybody sees all of them."""
        return self._all[offset : offset + limit]
