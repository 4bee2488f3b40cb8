"""The assistant that every graph has of itself: everybody sees it, nobody changes it, and it needs no row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from ...core.errors import Forbidden
from ...store.containment import holds
from ..graphs.registry import GraphRegistry, system_assistant_id
from .schemas import Assistant, AssistantFilter, AssistantVersion

_SINCE: Final = datetime(2026, 1, 1, tzinfo=UTC)  # the same in every process, as pages of a search need it


class SystemAssistants:
    """The graphs' own assistants.

    Args:
        graphs: The graphs.
    """

    def __init__(self, graphs: GraphRegistry) -> None:
        self._by_graph = {graph_id: _own(graphs, graph_id) for graph_id in graphs.ids}
        self._by_id = {assistant.assistant_id: assistant for assistant in self._by_graph.values()}

    def get(self, named: str) -> Assistant | None:
        """Find by id or by the graph's name."""
        return self._by_id.get(named) or self._by_graph.get(named)

    def matching(self, wanted: AssistantFilter) -> Sequence[Assistant]:
        """Pick those that a search means."""
        return [assistant for assistant in self._by_id.values() if _means(wanted, assistant)]

    def refuse_change(self, assistant_id: str) -> None:
        """Raise `Forbidden` if this is one of these."""
        if assistant_id in self._by_id:
            raise Forbidden("This assistant is the graph's own and stays as it is: create one with its graph_id.")

    def version(self, assistant_id: str) -> AssistantVersion | None:
        """Its only version; None if this is none of these."""
        found = self._by_id.get(assistant_id)
        return None if found is None else AssistantVersion.model_validate(found.model_dump(exclude={"updated_at"}))


def _own(graphs: GraphRegistry, graph_id: str) -> Assistant:
    static = graphs.static(graph_id)
    name = graph_id if static is None else static.get_name()
    return Assistant(
        assistant_id=system_assistant_id(graph_id),
        graph_id=graph_id,
        config={},
        context={},
        metadata={"created_by": "system"},
        name=name,
        created_at=_SINCE,
        updated_at=_SINCE,
        version=1,
        description=graphs.description(graph_id),
    )


def _means(wanted: AssistantFilter, assistant: Assistant) -> bool:
    return (
        holds(assistant.metadata, wanted.metadata or {})
        and wanted.graph_id in {None, assistant.graph_id}
        and (wanted.name or "").lower() in assistant.name.lower()
    )
