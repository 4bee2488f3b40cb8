"""What the log and the state disagree about after a crash, and how to make them agree. Pure.

The log may hold what the state lost (it is redone: the old records are superseded), and the state may hold what the log
lost (it is said now). Afterwards every completed message and every tool result stands visible once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from ...store.records import SUPERSEDED, LoggedEvent, NewEvent
from .speech import whole_message
from .stream import result_event

_RAN = frozenset({"tool.started", "tool.result"})


@dataclass
class Reconciled:
    """What to append before the graph goes on, and what its translator must not say again."""

    events: list[NewEvent] = field(default_factory=list)
    messages: set[str] = field(default_factory=set)
    results: set[str] = field(default_factory=set)


@dataclass
class _Spoken:
    """One AI message as the log has it."""

    first_seq: int
    text: str = ""
    text_open: bool = False
    calls: list[str] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)

    def is_whole(self, message: AIMessage) -> bool:
        wanted = [call["id"] for call in message.tool_calls]
        return not self.text_open and self.text == str(message.text) and set(wanted) <= self.ended


def reconcile(
    messages: Sequence[BaseMessage], events: Sequence[LoggedEvent], journalled: Collection[str]
) -> Reconciled:
    """Compare one turn's messages in the state with its visible log records.

    Args:
        messages: The turn's messages in the checkpointed state, without the person's.
        events: The turn's visible records.
        journalled: Calls whose results the tool journal will return without acting again.
    """
    said, ran = _read(events)
    done = Reconciled()
    state = {m.id: m for m in messages if isinstance(m, AIMessage) and m.id}
    done.messages = {name for name, spoken in said.items() if name in state and spoken.is_whole(state[name])}
    gone = {name: spoken for name, spoken in said.items() if name not in done.messages}
    void = {call for spoken in gone.values() for call in spoken.calls}
    done.events += _supersede(gone)
    answered = {m.tool_call_id for m in messages if isinstance(m, ToolMessage)}
    for call_id, seqs in ran.items():
        if call_id in void:
            continue
        if "tool.result" in seqs and (call_id in answered or call_id in journalled):
            done.results.add(call_id)
        elif call_id not in answered:
            done.events.append(_superseded(min(seqs.values()), tool_call_ids=[call_id]))
    done.events += _close_agents(events)
    done.events += _missing(messages, done)
    return done


def turn_messages(messages: Sequence[BaseMessage], message_id: str) -> list[BaseMessage]:
    """Cut out what came after a person's message; nothing when the state never got it."""
    for index, message in enumerate(messages):
        if isinstance(message, HumanMessage) and message.id == message_id:
            return list(messages[index + 1 :])
    return []


def turn_events(events: Sequence[LoggedEvent], message_id: str) -> list[LoggedEvent]:
    """Cut out what was logged after a person's message."""
    for index, event in enumerate(events):
        if event.type == "message.user" and event.data["message_id"] == message_id:
            return list(events[index + 1 :])
    return []


def _read(events: Iterable[LoggedEvent]) -> tuple[dict[str, _Spoken], dict[str, dict[str, int]]]:
    said: dict[str, _Spoken] = {}
    ran: dict[str, dict[str, int]] = defaultdict(dict)
    speaker: dict[str, _Spoken] = {}
    for event in events:
        data = event.data
        if event.type in _RAN:
            ran[data["tool_call_id"]].setdefault(event.type, event.seq)
        elif event.type.startswith("text."):
            _hear_text(said.setdefault(data["message_id"], _Spoken(event.seq)), event)
        elif event.type == "tool.call":
            spoken = said.setdefault(data["message_id"], _Spoken(event.seq))
            spoken.calls.append(data["tool_call_id"])
            speaker[data["tool_call_id"]] = spoken
        elif event.type == "tool.call_end" and data["tool_call_id"] in speaker:
            speaker[data["tool_call_id"]].ended.add(data["tool_call_id"])
    return said, ran


def _hear_text(spoken: _Spoken, event: LoggedEvent) -> None:
    spoken.text += event.data.get("delta", "")
    spoken.text_open = event.type != "text.end"


def _supersede(gone: dict[str, _Spoken]) -> list[NewEvent]:
    if not gone:
        return []
    first = min(spoken.first_seq for spoken in gone.values())
    calls = [call for spoken in gone.values() for call in spoken.calls]
    return [_superseded(first, message_ids=list(gone), tool_call_ids=calls)]


def _superseded(from_seq: int, **ids: list[str]) -> NewEvent:
    data: dict[str, Any] = {"from_seq": from_seq, "message_ids": [], "tool_call_ids": [], **ids}
    return NewEvent(SUPERSEDED, data)


def _close_agents(events: Sequence[LoggedEvent]) -> list[NewEvent]:
    working = None
    for event in events:
        if event.type == "agent.started":
            working = event.data["agent"]
        elif event.type == "agent.finished":
            working = None
    return [NewEvent("agent.finished", {"agent": working})] if working is not None else []


def _missing(messages: Sequence[BaseMessage], done: Reconciled) -> list[NewEvent]:
    events: list[NewEvent] = []
    for message in messages:
        if isinstance(message, AIMessage) and message.id and message.id not in done.messages:
            done.messages.add(message.id)
            events += whole_message(message, None)
        elif isinstance(message, ToolMessage) and message.tool_call_id not in done.results:
            done.results.add(message.tool_call_id)
            events.append(result_event(message))
    return events
