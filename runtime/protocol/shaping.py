"""From what a graph streams (`astream_events`, version 3) to the events of the thread protocol. A pure state machine.

As `langgraph dev` does it: a subgraph's lifecycle stands in its own namespace; a result of a tool is told once more, as
a message in the namespace `tools:<call>`; named channels of transformers arrive as `custom` with a name; tasks are not
told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import ToolMessage
from langgraph.types import Interrupt

from ...store.records import NewEvent
from ..runs.plain import plain
from .words import broken_message, event, lean

_INTERRUPT = "__interrupt__"
_ENDS = frozenset({"message-finish", "error"})
Namespace = tuple[str, ...]


class Shaper:
    """Shapes the events of one delivery of a run.

    Attributes:
        asked: What the graph's root asks, by interrupt id, each with the namespace that asks; complete at the end only.
        values: The root's last state, as the graph had it.
    """

    def __init__(self) -> None:
        self.asked: dict[str, tuple[Namespace, Interrupt]] = {}
        self.values: Any = None
        self._asking: dict[str, Namespace] = {}
        self._names: dict[Namespace, str] = {}
        self._open: dict[str, tuple[Namespace, str]] = {}
        self._shapes = {
            "values": self._values,
            "updates": self._updates,
            "messages": self._messages,
            "tools": self._tools,
            "lifecycle": self._lifecycle,
            "checkpoints": self._checkpoints,
            "custom": _custom,
        }

    def shape(self, streamed: Mapping[str, Any]) -> list[NewEvent]:
        """Take one event of the graph; the events of the protocol it means, in order."""
        method, params = streamed["method"], streamed["params"]
        prefix, _, name = method.partition(":")
        if prefix == "custom" and name:
            data = {"name": name, "payload": plain(params["data"])}
            return [event("custom", params["namespace"], data, at_ms=params["timestamp"])]
        shape = self._shapes.get(method)
        return shape(tuple(params["namespace"]), params) if shape else []

    def break_off(self, why: str) -> list[NewEvent]:
        """Close the messages that are still open."""
        opened, self._open = self._open, {}
        return [broken_message(namespace, message_id, why) for namespace, message_id in opened.values()]

    def _values(self, namespace: Namespace, params: Mapping[str, Any]) -> list[NewEvent]:
        data, interrupts = params["data"], params.get("interrupts") or ()
        self._note(namespace, interrupts)
        if not namespace:
            self.values = data
            self.asked |= {each.id: (self._asking[each.id], each) for each in interrupts}
        return [event("values", namespace, lean(_without_interrupts(data)), at_ms=params["timestamp"])]

    def _updates(self, namespace: Namespace, params: Mapping[str, Any]) -> list[NewEvent]:
        data = params["data"]
        self._note(namespace, data.get(_INTERRUPT, ()) if isinstance(data, Mapping) else ())
        return [event("updates", namespace, lean(_without_interrupts(data)), at_ms=params["timestamp"])]

    def _note(self, namespace: Namespace, interrupts: Iterable[Interrupt]) -> None:
        """An interrupt is told by every graph above the one that asks, which comes first."""
        for each in interrupts:
            self._asking.setdefault(each.id, namespace)

    def _messages(self, namespace: Namespace, params: Mapping[str, Any]) -> list[NewEvent]:
        payload, about = params["data"]
        if not (isinstance(payload, Mapping) and "event" in payload):
            return []  # a message that came whole: the state tells it
        data, call = plain(payload), str(about.get("run_id", ""))
        if data["event"] == "message-start":
            self._open[call] = (namespace, str(data.get("id")))
        elif call in self._open and sum(where == namespace for where, _ in self._open.values()) > 1:
            data["id"] = self._open[call][1]  # two speak at once: say whose words these are
        if data["event"] in _ENDS:
            self._open.pop(call, None)
        return [event("messages", namespace, data, at_ms=params["timestamp"])]

    def _tools(self, namespace: Namespace, params: Mapping[str, Any]) -> list[NewEvent]:
        data, at_ms = params["data"], params["timestamp"]
        told = [event("tools", namespace, plain(data), at_ms=at_ms)]
        output = data.get("output")
        if data["event"] == "tool-finished" and isinstance(output, ToolMessage):
            inside = (*namespace, f"tools:{output.tool_call_id}")
            told += [event("messages", inside, said, at_ms=at_ms) for said in _spoken(output)]
        return told

    def _lifecycle(self, _namespace: Namespace, params: Mapping[str, Any]) -> list[NewEvent]:
        data = dict(params["data"])
        namespace = tuple(data["namespace"])
        if data["event"] == "started":
            self._names[namespace] = data.get("graph_name", "")
        elif data["event"] == "drained":
            return []  # the run goes back to the queue, and on from here
        else:
            ended = {"event": data["event"], "graph_name": self._names.pop(namespace, "")}
            data = ended | {key: value for key, value in data.items() if key == "error"}
        return [event("lifecycle", namespace, plain(data), at_ms=params["timestamp"])]

    def _checkpoints(self, namespace: Namespace, params: Mapping[str, Any]) -> list[NewEvent]:
        """Only a graph that was compiled with the transformer for them has these; what a fork needs is told."""
        saved = params["data"]
        about = saved.get("metadata") or {}
        data = {"id": _id_in(saved["config"]), "step": about.get("step"), "source": about.get("source")}
        if parent := _id_in(saved.get("parent_config")):
            data["parent_id"] = parent
        return [event("checkpoints", namespace, data, at_ms=params["timestamp"])]


def _custom(namespace: Namespace, params: Mapping[str, Any]) -> list[NewEvent]:
    return [event("custom", namespace, plain(params["data"]), at_ms=params["timestamp"])]


def _without_interrupts(data: Any) -> Any:
    if not isinstance(data, Mapping) or _INTERRUPT not in data:
        return data
    return {key: value for key, value in data.items() if key != _INTERRUPT}


def _id_in(config: Any) -> str | None:
    return ((config or {}).get("configurable") or {}).get("checkpoint_id")


def _spoken(result: ToolMessage) -> list[dict[str, Any]]:
    text = str(result.text)
    block = {"index": 0, "content": {"type": "text", "text": text}}
    return [
        {"event": "message-start", "role": "tool", "id": result.id, "tool_call_id": result.tool_call_id},
        {"event": "content-block-start", "index": 0, "content": {"type": "text", "text": ""}},
        {"event": "content-block-delta", "index": 0, "delta": {"type": "text-delta", "text": text}},
        {"event": "content-block-finish", **block},
        {"event": "message-finish"},
    ]
