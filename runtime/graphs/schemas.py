"""What a graph takes and gives, as JSON schemas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from langchain_core.utils.pydantic import create_model_v2
from langgraph.channels.base import BaseChannel
from pydantic import PydanticUserError, TypeAdapter

from .registry import Graph

Schema = dict[str, Any]

# What pydantic and typing raise of annotations that they cannot read, or whose JSON form nobody knows.
_CANNOT: Final = (PydanticUserError, NameError, TypeError, AttributeError, ValueError, LookupError, RecursionError)


def schemas_of(graph: Graph) -> dict[str, Schema | None]:
    """Make a graph's schemas; null for one that cannot be made."""
    context = _tried(graph.get_context_jsonschema)
    return {
        "input_schema": _tried(graph.get_input_jsonschema),
        "output_schema": _tried(graph.get_output_jsonschema),
        "state_schema": _tried(lambda: _state_schema(graph)),
        "config_schema": context or {},
        "context_schema": context,
    }


def _tried(make: Callable[[], Schema | None]) -> Schema | None:
    try:
        return make()
    except _CANNOT:
        return None


def _state_schema(graph: Graph) -> Schema:
    """Every channel that a stream shows; one that pydantic cannot read may hold anything."""
    shown = graph.stream_channels_asis or list(graph.channels)
    names = [shown] if isinstance(shown, str) else list(shown)
    channels = {name: channel for name in names if isinstance(channel := graph.channels[name], BaseChannel)}
    fields = {name: (_readable(channel.UpdateType), None) for name, channel in channels.items()}
    return create_model_v2(graph.get_name("State"), field_definitions=fields).model_json_schema()


def _readable(kind: Any) -> Any:
    try:
        TypeAdapter(kind).json_schema()
    except _CANNOT:
        return Any
    return kind
