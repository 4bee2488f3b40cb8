"""Anthropic's answers as canonical events, streamed or whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson
from msgspec.structs import replace

from ..events import Event, Finish, Reasoning, Text, ToolCall, Used
from ..usage import Usage, count
from .anthropic_request import JSON_TOOL
from .conversation import REDACTED
from .http import malformed

_REASONS: Final = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Read Anthropic's `usage`: the cached parts are beside `input_tokens`, not within.

    The breakdown by time may be of a part only; what it does not tell is taken for the kind that it knows.
    """
    read = count(raw.get("cache_read_input_tokens"))
    split = raw.get("cache_creation") or {}
    short, hour = count(split.get("ephemeral_5m_input_tokens")), count(split.get("ephemeral_1h_input_tokens"))
    written = max(count(raw.get("cache_creation_input_tokens")), short + hour)
    if hour and not short:
        hour = written
    details = raw.get("output_tokens_details") or {}
    return Usage(
        input_tokens=count(raw.get("input_tokens")) + read + written,
        output_tokens=count(raw.get("output_tokens")),
        cached_tokens=read,
        cache_write_tokens=written - hour,
        cache_write_1h_tokens=hour,
        reasoning_tokens=count(details.get("thinking_tokens")),
    )


class Message:
    """One answer as it comes.

    Args:
        json_tool: Whether the answer was forced into a call, which is to be told as text.

    Attributes:
        done: Whether it is whole.
        over: Whether nothing comes any more.
        error: What the provider said went wrong, if anything did.
    """

    __slots__ = ("_calls", "_early", "_empty", "_json_tool", "_usage", "done", "error", "over")

    def __init__(self, *, json_tool: bool) -> None:
        self._json_tool = json_tool
        self._calls: dict[int, int] = {}
        self._empty: set[int] = set()
        self._usage: dict[str, Any] = {}
        self._early = False  # the prompt is counted already: told with the first word, for who leaves before the last
        self.done = self.over = False
        self.error: Any = None

    def whole(self, raw: bytes) -> list[Event]:
        """Read an answer that was not streamed."""
        events: list[Event] = []
        try:
            data = orjson.loads(raw)
            if data.get("type") == "error":
                self.error = data["error"]
                return events
            for index, block in enumerate(data["content"]):
                self._start(index, block, events)
                self._stop(index, events)
            self._usage = data["usage"]
            self._end(data.get("stop_reason"), events)
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
            raise malformed() from exc
        return events

    def read(self, data: bytes, into: list[Event]) -> None:
        """Read one event of a stream."""
        try:
            said = orjson.loads(data)
            kind, before = said["type"], len(into)
            if kind == "content_block_delta":
                self._delta(said["index"], said["delta"], into)
            elif kind == "content_block_start":
                self._start(said["index"], said["content_block"], into)
            elif kind == "content_block_stop":
                self._stop(said["index"], into)
            else:
                self._frame(kind, said, into)
            if self._early and len(into) > before:
                self._early = False
                into.append(Used(replace(read_usage(self._usage), estimated=True), dict(self._usage)))
        except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as exc:
            raise malformed() from exc

    def _frame(self, kind: str, said: Mapping[str, Any], into: list[Event]) -> None:
        """Read what is around the blocks; the sums of the end are laid over what the start told."""
        if kind == "message_start":
            self._usage = dict(said["message"].get("usage") or {})
            self._early = bool(self._usage)
        elif kind == "message_delta":
            told = said.get("usage") or {}
            self._usage |= {name: value for name, value in told.items() if value is not None}
            self._end(said["delta"].get("stop_reason"), into)
        elif kind == "message_stop":
            self.done = self.over = True
        elif kind == "error":
            self.error = said.get("error") or {}

    def _start(self, index: int, block: Mapping[str, Any], into: list[Event]) -> None:
        kind = block["type"]
        if kind == "text":
            if block.get("text"):
                into.append(Text(block["text"]))
        elif kind == "thinking":
            if block.get("thinking") or block.get("signature"):
                into.append(Reasoning(block.get("thinking") or "", signature=block.get("signature") or ""))
        elif kind == "redacted_thinking":
            into.append(Reasoning(signature=REDACTED + block["data"]))
        elif kind == "tool_use":
            self._call(index, block, into)

    def _call(self, index: int, block: Mapping[str, Any], into: list[Event]) -> None:
        said = orjson.dumps(block["input"]).decode() if block.get("input") else ""
        if self._json_tool and block["name"] == JSON_TOOL:
            self._calls[index] = -1
            if said:
                into.append(Text(said))
            return
        place = self._calls[index] = len(self._calls)
        into.append(ToolCall(place, block["id"], block["name"], said))
        if not said:
            self._empty.add(index)

    def _delta(self, index: int, delta: Mapping[str, Any], into: list[Event]) -> None:
        kind = delta["type"]
        if kind == "text_delta":
            into.append(Text(delta["text"]))
        elif kind == "input_json_delta":
            said, place = delta["partial_json"], self._calls.get(index)
            if not said or place is None:  # None: a tool that Anthropic runs by itself
                return
            self._empty.discard(index)
            into.append(Text(said) if place < 0 else ToolCall(place, arguments=said))
        elif kind == "thinking_delta":
            into.append(Reasoning(delta["thinking"]))
        elif kind == "signature_delta":
            into.append(Reasoning(signature=delta["signature"]))

    def _stop(self, index: int, into: list[Event]) -> None:
        if index in self._empty:
            self._empty.discard(index)
            into.append(ToolCall(self._calls[index], arguments="{}"))

    def _end(self, reason: str | None, into: list[Event]) -> None:
        if reason:
            calls = any(place >= 0 for place in self._calls.values())
            told = _REASONS.get(reason, "stop")
            into.append(Finish("stop" if told == "tool_calls" and not calls else told))
            self.done = True
        if self._usage:
            into.append(Used(read_usage(self._usage), dict(self._usage)))
