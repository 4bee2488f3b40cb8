"""The events of the thread protocol as records of the log, and state in the form the protocol has for it. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from ...store.records import NewEvent
from ..runs.plain import plain

RECORD: Final = "protocol"
"""The type of a record that holds one event of the protocol."""
_OPTIONAL: Final = ("name", "additional_kwargs", "response_metadata")
_OF_AI: Final = ("invalid_tool_calls", "usage_metadata")
_OF_TOOL: Final = ("tool_call_id", "status", "artifact")


def event(method: str, namespace: Iterable[str], data: Any, *, at_ms: int | None = None) -> NewEvent:
    """Make the record of one event; its `seq` is that of the record."""
    when = at_ms if at_ms is not None else int(time.time() * 1000)
    return NewEvent(
        RECORD, {"method": method, "params": {"namespace": list(namespace), "timestamp": when, "data": data}}
    )


def lifecycle(phase: str, graph_name: str, *, error: str | None = None) -> NewEvent:
    """Say how the run itself stands."""
    data = {"event": phase, "graph_name": graph_name}
    return event("lifecycle", (), data if error is None else {**data, "error": error})


def requested(namespace: Iterable[str], interrupt_id: str, payload: Any) -> NewEvent:
    """Ask a person; `input.respond` with this id answers."""
    return event("input.requested", namespace, {"interrupt_id": interrupt_id, "payload": plain(payload)})


def broken_message(namespace: Iterable[str], message_id: str, why: str) -> NewEvent:
    """Close a message that will not be finished: a client takes what comes next for a part of it otherwise."""
    return event("messages", namespace, {"event": "error", "id": message_id, "message": why})


def lean(value: Any) -> Any:
    """Turn state into JSON data; messages in lists come without the fields that hold nothing."""
    if isinstance(value, Mapping):
        return {str(key): lean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_message(item) if isinstance(item, BaseMessage) else lean(item) for item in value]
    return plain(value)


def _message(message: BaseMessage) -> dict[str, Any]:
    said = {"type": message.type, "content": plain(message.content), "id": message.id}
    said |= _held(message, _OPTIONAL)
    if isinstance(message, AIMessage):
        if message.tool_calls:
            said["tool_calls"] = [plain({"type": "tool_call", **call}) for call in message.tool_calls]
        said |= _held(message, _OF_AI)
    elif isinstance(message, ToolMessage):
        said |= {name: plain(getattr(message, name)) for name in _OF_TOOL}
    elif role := getattr(message, "role", None):
        said["role"] = role
    return said


def _held(message: BaseMessage, names: Sequence[str]) -> dict[str, Any]:
    return {name: plain(value) for name in names if (value := getattr(message, name, None))}
