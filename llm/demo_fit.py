"""Fitting a call to the tools that are really bound: their schemas decide, and another agent may hold the tool."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .answer import Call
from .request import ChatRequest, Shape

_AGENT_OF = {
    "execute_command": "debug",
    "list_files": "ask",
    "read_file": "ask",
    "search_files": "ask",
    "git_status": "ask",
    "git_diff": "ask",
    "git_log": "ask",
}
_OTHER_NAMES = {"source": ("src", "from", "path", "old_path"), "target": ("dst", "to", "destination", "new_path")}
_ZERO: Mapping[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}


def fit(call: Call, tool: Shape, request: ChatRequest) -> Call:
    """Keep the arguments the tool knows, under the names it uses, and fill in what it requires."""
    wanted = dict(call.args) if isinstance(call.args, Mapping) else {}
    known = tool.properties
    if not known:
        return call
    args = {_spelled(name, known): value for name, value in wanted.items()}
    args = {name: _fitted(value, known[name], tool) for name, value in args.items() if name in known}
    wished = ["paths"] if call.name == "git_commit" and "paths" in known and uncommitted(request) else []
    missing = [name for name in (*tool.required, *wished) if name not in args]
    return Call(call.name, args | {name: _filled(name, known.get(name, {}), request) for name in missing})


def hand_over(call: Call, request: ChatRequest) -> Call | None:
    """Hand the turn to the agent that holds the tool a call needs; None if that cannot be or was tried already."""
    switch = request.tool("switch_agent")
    if switch is None:
        return None
    said = str(call.args.get("agent", "")) if isinstance(call.args, Mapping) else ""
    roster = agents_of(switch.properties.get("agent", {}))
    tried = {str(done.args.get("agent")) for done in request.done if done.name == "switch_agent"}
    for agent in (said,) if said else (_AGENT_OF.get(call.name, "coder"), "coder"):
        if agent not in tried and (not roster or agent in roster):
            reason = f"The request needs {call.name}: {request.human}"
            return fit(Call("switch_agent", {"agent": agent, "reason": reason}), switch, request)
    return None


def agents_of(schema: Mapping[str, Any]) -> list[str]:
    """Read the names an `agent` argument may have: its enum, or "One of: …" in its description."""
    if schema.get("enum"):
        return [str(name) for name in schema["enum"]]
    listed = re.search(r"one of:?\s*([\w, -]+)", str(schema.get("description", "")), re.IGNORECASE)
    return [name.strip() for name in listed[1].split(",")] if listed else []


def uncommitted(request: ChatRequest) -> list[str]:
    """List the files that were written or edited well in this conversation since its last commit."""
    paths: list[str] = []
    for done in request.ever_done:
        if done.name == "git_commit" and not done.failed:
            paths.clear()
        elif done.name in {"write_file", "edit_file"} and not done.failed and done.text is not None:
            paths.append(str(done.args.get("path", "")))
    return list(dict.fromkeys(filter(None, paths)))


def _spelled(name: str, known: Mapping[str, Any]) -> str:
    return name if name in known else next((one for one in _OTHER_NAMES.get(name, ()) if one in known), name)


def _fitted(value: Any, schema: Mapping[str, Any], tool: Shape) -> Any:
    """Drop what the members of a list do not know, and take a word of their enum."""
    items = tool.resolve(schema.get("items", {}))
    known = items.get("properties")
    if not known or not isinstance(value, list):
        return value
    return [{key: _word(one[key], tool.resolve(known[key])) for key in one if key in known} for one in value]


def _word(value: Any, schema: Mapping[str, Any]) -> Any:
    """A word outside the enum becomes the nearest one: "choice" may be called "single_choice"."""
    words = [str(word) for word in schema.get("enum", ())]
    if not words or value in words:
        return value
    return next((word for word in words if str(value) in word), words[0])


def _filled(name: str, schema: Mapping[str, Any], request: ChatRequest) -> Any:
    """A required argument nobody named: the files of this turn, the first word allowed, or nothing of its type."""
    if name == "paths":
        return uncommitted(request) or ["."]
    if schema.get("enum"):
        return schema["enum"][0]
    return schema.get("default", _ZERO.get(str(schema.get("type")), ""))
