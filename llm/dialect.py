"""OpenAI's dialect read: chunks of a stream, or a whole `chat.completion`, as canonical events."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from .errors import Malformed, ServerFailed
from .events import Event, Extra, Finish, Reasoning, Refusal, Text, ToolCall, Used
from .usage import Usage, count

_HEAD: Final = frozenset({"id", "object", "created", "model", "choices", "usage", "obfuscation", "error"})
_OF_CHOICE: Final = frozenset({"index", "delta", "message", "finish_reason"})
_THOUGHT: Final = frozenset({"reasoning_content", "reasoning", "reasoning_signature", "reasoning_details"})
_SAID: Final = frozenset({"role", "content", "refusal", "tool_calls", *_THOUGHT})
_LONGEST_ERROR: Final = 500
_USED: Final = re.compile(rb'"usage"\s*:\s*\{')
"""Inside a text the quotes would be escaped."""


def decode_chunks(raw: bytes) -> list[Event]:
    """Read whole SSE frames of a stream; `[DONE]`, comments and other fields are passed over.

    Raises:
        Malformed: A frame is no chunk.
        ServerFailed: A frame is an error.
    """
    events: list[Event] = []
    for line in raw.splitlines():
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data and data != b"[DONE]":
                _answer(_loads(data), events)
    return events


def decode_completion(raw: bytes) -> list[Event]:
    """Read the body of an answer that was not streamed; errors as `decode_chunks`."""
    events: list[Event] = []
    _answer(_loads(raw), events)
    return events


def read_usage(raw: Mapping[str, Any]) -> Usage:
    """Read OpenAI's `usage`, with what its imitators call the cached part; `TypeError` where no number stands."""
    prompt = raw.get("prompt_tokens_details") or {}
    said = raw.get("completion_tokens_details") or {}
    return Usage(
        input_tokens=count(raw.get("prompt_tokens")),
        output_tokens=count(raw.get("completion_tokens")),
        cached_tokens=count(prompt.get("cached_tokens") or raw.get("prompt_cache_hit_tokens")),
        cache_write_tokens=count(prompt.get("cache_write_tokens")),
        cache_write_1h_tokens=count(prompt.get("cache_write_1h_tokens")),
        reasoning_tokens=count(said.get("reasoning_tokens")),
        estimated=bool(raw.get("estimated")),
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value:
        raise TypeError("not a text")
    return ""


def _loads(data: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise Malformed("The model sent something that is not JSON.") from exc
    if not isinstance(found, dict):
        raise Malformed("The model sent JSON that is no answer.")
    return found


def _answer(data: dict[str, Any], into: list[Event]) -> None:
    """Read a chunk or a completion: they differ in `delta` and `message` only."""
    if data.get("error"):
        raise ServerFailed(_message(data["error"]))
    try:
        beside = {key: value for key, value in data.items() if key not in _HEAD and value is not None}
        if beside:
            into.append(Extra(beside))
        for choice in data.get("choices") or ():
            _choice(choice, into)
        if usage := data.get("usage"):
            into.append(Used(read_usage(usage), usage))
    except (AttributeError, TypeError, KeyError) as exc:
        raise Malformed("The model sent an answer of a strange form.") from exc


def _message(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return str(text or "The model sent an error.")[:_LONGEST_ERROR]


def _choice(choice: dict[str, Any], into: list[Event]) -> None:
    index = count(choice.get("index"))
    said = choice.get("delta") or choice.get("message")
    beside = {key: value for key, value in choice.items() if key not in _OF_CHOICE and value is not None}
    if said:
        _said(said, index, into)
        more = {key: value for key, value in said.items() if key not in _SAID and value is not None}
        if more:
            beside["delta"] = more
    if beside:
        into.append(Extra(beside, index))
    if reason := choice.get("finish_reason"):
        into.append(Finish(_text(reason), index))


def _said(said: dict[str, Any], index: int, into: list[Event]) -> None:
    _reasoning(said, index, into)
    content = said.get("content")
    if isinstance(content, list):
        _parts(content, index, into)
    elif content:
        into.append(Text(_text(content), index))
    if refusal := said.get("refusal"):
        into.append(Refusal(_text(refusal), index))
    for position, call in enumerate(said.get("tool_calls") or ()):
        into.append(_call(call, position, index))


def _reasoning(said: dict[str, Any], index: int, into: list[Event]) -> None:
    """Read thoughts: the text in one of two fields, its seal beside it; several sealed ones in a list."""
    text = _text(said.get("reasoning_content") or said.get("reasoning"))
    details: Sequence[dict[str, Any]] = said.get("reasoning_details") or ()
    if len(details) > 1:
        into.extend(Reasoning(_text(one.get("text")), index, _text(one.get("signature"))) for one in details)
        return
    only = details[0] if details else {}
    text, seal = text or _text(only.get("text")), _text(said.get("reasoning_signature") or only.get("signature"))
    if text or seal:
        into.append(Reasoning(text, index, seal))


def _parts(content: list[dict[str, Any]], index: int, into: list[Event]) -> None:
    """Mistral's way: a list of parts, thoughts among them."""
    for part in content:
        if part["type"] == "thinking":
            into.append(Reasoning("".join(one.get("text", "") for one in part["thinking"]), index))
        elif text := part.get("text"):
            into.append(Text(_text(text), index))


def _call(call: dict[str, Any], position: int, choice: int) -> Event:
    function = call.get("function")
    if function is None and call.get("custom"):  # a tool without a schema; no other provider knows such
        return Extra({"delta": {"tool_calls": [call]}}, choice)
    function = function or {}
    arguments, place = function.get("arguments"), call.get("index")
    seal = call.get("signature") or ((call.get("extra_content") or {}).get("google") or {}).get("thought_signature")
    return ToolCall(
        position if place is None else count(place),
        _text(call.get("id")),
        _text(function.get("name")),
        orjson.dumps(arguments).decode() if isinstance(arguments, dict) else _text(arguments),
        choice,
        _text(seal),
    )


def without_usage(raw: bytes) -> bytes:
    """Take the usage out of whole SSE frames, for a client that did not ask for it."""
    if not _USED.search(raw):
        return raw
    return b"".join(_bare(line) if _USED.search(line) else line for line in raw.splitlines(keepends=True))


def _bare(line: bytes) -> bytes:
    """Rewrite a line of data; a chunk that tells nothing else goes (the empty line it leaves says nothing)."""
    chunk = _loads(line.removeprefix(b"data:"))
    chunk.pop("usage", None)
    return b"data: " + orjson.dumps(chunk) + b"\n" if chunk.get("choices") else b""
