"""From the graph's stream to the words of the event log. A pure state machine; one per delivery of a run.

What the stream does that one would not guess: an interrupt arrives twice (in its namespace, then at the root: only the
root's counts); the root's update of an agent holds the whole history (never encoded); a call has no end of its own; a
model that does not stream, a rejection and a result that an earlier attempt saved arrive whole, some of them only as an
update.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage
from langgraph.types import Interrupt

from ...agents.at_tool import STARTED
from ...store.records import NewEvent
from .plain import plain
from .speech import Speech, whole_message

_NOT_STATE = frozenset({"messages", "__interrupt__"})
_SWITCHED = "agent.switched"

Part = Mapping[str, Any]


class Translator:
    """Turns parts of `astream(version="v2", subgraphs=True)` into log events.

    Args:
        messages: Ids of AI messages that stand complete in the log already.
        results: Ids of tool calls whose results stand there already.

    Attributes:
        interrupts: What the root graph asks; complete once the stream has ended.
        usage: Tokens so far.
        agent: The agent that worked last.
        state: The root's values, messages left out.
    """

    def __init__(self, *, messages: Iterable[str] = (), results: Iterable[str] = ()) -> None:
        self.interrupts: list[Interrupt] = []
        self.usage: dict[str, int] = {}
        self.agent: str | None = None
        self._messages = set(messages)
        self._results = set(results)
        self._agents: list[str] = []
        self._namespaces: set[str] = set()
        self._speech: dict[str, Speech] = {}
        self.state: dict[str, Any] = {}
        self._feeders = {
            "messages": self._message,
            "updates": self._update,
            "custom": self._custom,
            "values": self._values,
        }

    def feed(self, part: Part) -> list[NewEvent]:
        """Take one part; the events it means, in order."""
        namespace: tuple[str, ...] = part["ns"]
        feeder = self._feeders.get(part["type"])
        if feeder is None:
            return []
        return [*self._enter(namespace), *feeder(namespace, part["data"])]

    def close(self) -> list[NewEvent]:
        """End whatever is open: the run is over, however it went."""
        events = [event for speech in self._speech.values() for event in speech.close()]
        self._speech.clear()
        return events + self._leave()

    def _enter(self, namespace: tuple[str, ...]) -> list[NewEvent]:
        if not namespace:
            return []
        agent = namespace[0].partition(":")[0]
        self._namespaces.add(agent)
        if self._agents and self._agents[-1] == agent:
            return []
        self.agent = agent
        left = self._leave()
        self._agents.append(agent)
        return [*left, NewEvent("agent.started", {"agent": agent})]

    def _leave(self, agent: str | None = None) -> list[NewEvent]:
        if not self._agents or (agent is not None and self._agents[-1] != agent):
            return []
        return [NewEvent("agent.finished", {"agent": self._agents.pop()})]

    def _message(self, namespace: tuple[str, ...], data: Any) -> list[NewEvent]:
        message = data[0]
        if isinstance(message, AIMessageChunk):
            return self._chunk(namespace, message)
        return self._whole(namespace, message)

    def _chunk(self, namespace: tuple[str, ...], chunk: AIMessageChunk) -> list[NewEvent]:
        if chunk.id is None or chunk.id in self._messages:
            return []
        self._count(chunk)
        speech = self._speech.get(chunk.id)
        if speech is None:
            speech = self._speech[chunk.id] = Speech(chunk.id, self._speaker(namespace))
        events = speech.feed(chunk)
        return events + self._complete(chunk.id) if chunk.chunk_position == "last" else events

    def _complete(self, message_id: str) -> list[NewEvent]:
        self._messages.add(message_id)
        speech = self._speech.pop(message_id, None)
        return speech.close() if speech is not None else []

    def _whole(self, namespace: tuple[str, ...], message: BaseMessage) -> list[NewEvent]:
        if isinstance(message, ToolMessage):
            return self._result(message)
        if not isinstance(message, AIMessage) or message.id is None:
            return []
        if message.id in self._speech or message.id in self._messages:
            return self._complete(message.id)
        self._messages.add(message.id)
        self._count(message)
        return whole_message(message, self._speaker(namespace))

    def _result(self, message: ToolMessage) -> list[NewEvent]:
        if message.tool_call_id in self._results:
            return []
        self._results.add(message.tool_call_id)
        return [result_event(message)]

    def _update(self, namespace: tuple[str, ...], data: Any) -> list[NewEvent]:
        events: list[NewEvent] = []
        for node, update in (data or {}).items():
            if node == "__interrupt__":
                self.interrupts += [i for i in update if not namespace and i not in self.interrupts]
            elif not namespace and node in self._namespaces:
                events += self._leave(node)
            else:
                for message in _messages_in(update):
                    events += self._whole(namespace, message)
        return events

    def _custom(self, _namespace: tuple[str, ...], data: Any) -> list[NewEvent]:
        if not isinstance(data, dict) or not isinstance(data.get("type"), str):
            return [NewEvent("custom", {"name": "custom", "value": plain(data)})]
        value = {key: plain(item) for key, item in data.items() if key != "type"}
        if data["type"] == _SWITCHED:
            return [NewEvent(_SWITCHED, value)]
        if data["type"] == STARTED:
            return [] if value.get("tool_call_id") in self._results else [NewEvent(STARTED, value)]
        return [NewEvent("custom", {"name": data["type"], "value": value})]

    def _values(self, namespace: tuple[str, ...], data: Any) -> list[NewEvent]:
        if namespace or not isinstance(data, dict):
            return []
        state = {key: plain(value) for key, value in data.items() if key not in _NOT_STATE}
        if state == self.state:
            return []
        self.state = state
        return [NewEvent("state", state)]

    def _speaker(self, namespace: tuple[str, ...]) -> str | None:
        return namespace[0].partition(":")[0] if namespace else None

    def _count(self, message: AIMessage) -> None:
        for key, value in (message.usage_metadata or {}).items():
            if isinstance(value, int):
                self.usage[key] = self.usage.get(key, 0) + value


def result_event(message: ToolMessage) -> NewEvent:
    """Say what a tool call came back with."""
    return NewEvent(
        "tool.result",
        {
            "tool_call_id": message.tool_call_id,
            "message_id": message.id or message.tool_call_id,
            "name": message.name,
            "content": str(message.text),
            "status": message.status,
        },
    )


def _messages_in(update: Any) -> list[BaseMessage]:
    updates = update if isinstance(update, list) else [update]
    found: list[BaseMessage] = []
    for each in updates:
        messages = each.get("messages") if isinstance(each, dict) else None
        if messages is not None:
            listed = messages if isinstance(messages, list) else [messages]
            found += [message for message in listed if isinstance(message, BaseMessage)]
    return found
