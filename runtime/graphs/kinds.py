"""Which types come back from a checkpoint as they were: those of the declared state, and a project's own."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import is_dataclass
from enum import Enum
from types import ModuleType
from typing import Any, TypeVar

from langgraph._internal._serde import collect_allowlist_from_schemas
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from pydantic import BaseModel

Kinds = frozenset[tuple[str, ...]]
Saver = TypeVar("Saver")


def kinds_of(graph: Pregel[Any, Any, Any, Any]) -> Kinds:
    """Find the types in the declared state of a graph and of the graphs within."""
    inside = [inner for _, inner in graph.get_subgraphs(recurse=True)]
    graphs = [graph, *(inner for inner in inside if isinstance(inner, Pregel))]
    found: set[tuple[str, ...]] = set()
    for each in graphs:
        schemas = list(each.builder.schemas) if isinstance(each, CompiledStateGraph) else []
        found |= collect_allowlist_from_schemas(schemas=schemas, channels=dict(each.channels))
    return frozenset(found)


def kinds_in(modules: Iterable[ModuleType]) -> Kinds:
    """Find the types of values that modules define themselves."""
    return frozenset(
        (module.__name__, thing.__name__)
        for module in modules
        for thing in list(vars(module).values())
        if isinstance(thing, type) and thing.__module__ == module.__name__ and _is_value(thing)
    )


def _is_value(kind: type) -> bool:
    return (
        is_dataclass(kind)
        or issubclass(kind, BaseModel | Enum)
        or (issubclass(kind, tuple) and hasattr(kind, "_fields"))
    )


def giving_back(saver: Saver, kinds: Collection[tuple[str, ...]]) -> Saver:
    """Let a saver give these types back, beside those that every saver of ours does."""
    if not isinstance(saver, BaseCheckpointSaver) or not kinds:
        return saver
    return saver.with_allowlist(kinds)  # type: ignore[return-value]  # a copy of itself
