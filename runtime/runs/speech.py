"""One AI message as it is spoken. Text closes before a call opens; a call closes when the next one opens."""

from __future__ import annotations

import json

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk

from ...store.records import NewEvent


class Speech:
    """The open parts of one streamed message."""

    def __init__(self, message_id: str, agent: str | None) -> None:
        self._id = message_id
        self._agent = agent
        self._text_open = False
        self._call: str | None = None
        self._calls: dict[int | None, str] = {}

    def feed(self, chunk: AIMessageChunk) -> list[NewEvent]:
        """Take a chunk; the events it means."""
        events = self._say(str(chunk.text))
        for piece in chunk.tool_call_chunks:
            events += self.ask(piece)
        return events

    def close(self) -> list[NewEvent]:
        """End what is open."""
        return self._end_text() + self._end_call()

    def _say(self, delta: str) -> list[NewEvent]:
        if not delta:
            return []
        events = self._end_call()
        if not self._text_open:
            self._text_open = True
            events.append(NewEvent("text.start", {"message_id": self._id, "agent": self._agent}))
        return [*events, NewEvent("text.delta", {"message_id": self._id, "delta": delta})]

    def ask(self, piece: ToolCallChunk) -> list[NewEvent]:
        """Take a piece of a call; the events it means."""
        index, call_id, events = piece.get("index"), piece.get("id"), list[NewEvent]()
        if call_id and self._calls.get(index) != call_id:
            self._calls[index] = call_id
            events = [*self.close(), NewEvent("tool.call", self._named(call_id, piece.get("name")))]
            self._call = call_id
        known = self._calls.get(index)
        if known is None or not piece.get("args"):
            return events
        return [*events, NewEvent("tool.args", {"tool_call_id": known, "delta": piece["args"]})]

    def _named(self, call_id: str, name: str | None) -> dict[str, str]:
        return {"tool_call_id": call_id, "name": name or "", "message_id": self._id}

    def _end_text(self) -> list[NewEvent]:
        if not self._text_open:
            return []
        self._text_open = False
        return [NewEvent("text.end", {"message_id": self._id})]

    def _end_call(self) -> list[NewEvent]:
        if self._call is None:
            return []
        ended, self._call = self._call, None
        return [NewEvent("tool.call_end", {"tool_call_id": ended})]


def whole_message(message: AIMessage, agent: str | None) -> list[NewEvent]:
    """Say a message that was not streamed."""
    pieces = [
        ToolCallChunk(name=call["name"], args=json.dumps(call["args"], ensure_ascii=False), id=call["id"], index=index)
        for index, call in enumerate(message.tool_calls)
    ]
    speech = Speech(message.id or "", agent)
    chunk = AIMessageChunk(content=message.content, id=message.id)
    spoken = speech.feed(chunk)
    for piece in pieces:
        spoken += speech.ask(piece)
    return spoken + speech.close()
