"""What a graph takes, as the arguments of a tool. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

MESSAGES: Final = "messages"
INPUT: Final = "input"
LONGEST_NAME: Final = 64
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9_-]+")
_SAYS: Final = {"type": "string", "title": "Messages", "description": "The user message to send to the agent."}

Schema = dict[str, Any]


def tool_name(name: str) -> str:
    """Make a name that every client accepts."""
    return _FOREIGN.sub("_", name).strip("_")[:LONGEST_NAME] or "assistant"


def arguments_of(schema: Mapping[str, Any]) -> Schema:
    """Make the schema of a tool's arguments from that of a graph's input.

    A list of chat messages becomes one text, which is what a model can write; input that is no object becomes the
    argument `input`.
    """
    if schema.get("type") != "object":
        return {"type": "object", "properties": {INPUT: _without_definitions(schema)}, **_definitions(schema)}
    properties = {key: _SAYS if _is_chat(key, each) else each for key, each in schema.get("properties", {}).items()}
    shaped = {**schema, "properties": properties}
    if not _mentions(properties, "$ref"):
        shaped.pop("$defs", None)
    return shaped


def input_of(schema: Mapping[str, Any], arguments: Mapping[str, Any]) -> Any:
    """Make a graph's input from a tool's arguments."""
    if schema.get("type") != "object":
        return arguments.get(INPUT)
    said = arguments.get(MESSAGES)
    if not isinstance(said, str):
        return dict(arguments)
    return {**arguments, MESSAGES: [{"role": "user", "content": said}]}


def _is_chat(name: str, schema: Any) -> bool:
    return (
        name == MESSAGES and isinstance(schema, Mapping) and schema.get("type") == "array" and bool(schema.get("items"))
    )


def _without_definitions(schema: Mapping[str, Any]) -> Schema:
    return {key: value for key, value in schema.items() if key != "$defs"}


def _definitions(schema: Mapping[str, Any]) -> Schema:
    return {"$defs": schema["$defs"]} if "$defs" in schema else {}


def _mentions(value: Any, key: str) -> bool:
    if isinstance(value, Mapping):
        return key in value or any(_mentions(each, key) for each in value.values())
    return isinstance(value, list) and any(_mentions(each, key) for each in value)
