"""OpenAI's dialect written: the same events as chunks of a stream, or as one `chat.completion`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from ..core.types import new_id
from ..store.texts import clean_text
from .events import Event, Extra, Finish, Reasoning, Refusal, Text, ToolCall, Used
from .usage import Usage

DONE: Final = b"data: [DONE]\n\n"
_OPEN: Final = b'},"finish_reason":null}]}\n\n'


def answer_id() -> str:
    """Make an id for an answer: it sorts by time."""
    return f"chatcmpl-{new_id().replace('-', '')}"


class ChunkWriter:
    """Writes one streamed answer, a chunk an event.

    Args:
        model: The name that the answer carries.
        with_usage: Whether the client asked for the usage (`stream_options.include_usage`).
        id: The answer's; made if left out.
        created: Unix time; now if left out.
    """

    def __init__(self, model: str, *, with_usage: bool, id: str | None = None, created: int | None = None) -> None:  # noqa: A002 - OpenAI's word
        head = {
            "id": id or answer_id(),
            "object": "chat.completion.chunk",
            "created": int(time.time()) if created is None else created,
            "model": model,
        }
        self._head = b"data: " + orjson.dumps(head)[:-1]
        self._choices = self._head + b',"choices":[{"index":'
        self._with_usage = with_usage
        self._usage: Used | None = None
        self._begun: set[int] = set()
        self._told: dict[str, Any] = {}

    def write(self, events: Iterable[Event]) -> bytes:
        """Render some events as frames; the usage is held back until `end`."""
        return b"".join([_WRITERS[type(event)](self, event) for event in events])

    def role_is_told(self) -> None:
        """Leave the first choice's role out: clients run two of them together."""
        self._begun.add(0)

    def end(self) -> bytes:
        """Render what closes an answer that is whole: the usage, if it was asked for, and the mark."""
        if not (self._with_usage and self._usage):
            return DONE
        told = orjson.dumps(usage_of(self._usage))
        return self._head + b',"choices":[],"usage":' + told + b"}\n\n" + DONE

    def _delta(self, choice: int, members: bytes) -> bytes:
        role = b""
        if choice not in self._begun:
            self._begun.add(choice)
            role = b'"role":"assistant",' if members else b'"role":"assistant"'
        return self._choices + b'%d,"delta":{' % choice + role + members + _OPEN

    def _text(self, event: Text) -> bytes:
        return self._delta(event.choice, b'"content":' + _dumps(event.text))

    def _reasoning(self, event: Reasoning) -> bytes:
        members = b'"reasoning_content":' + _dumps(event.text)
        if event.signature:
            members += b',"reasoning_signature":' + _dumps(event.signature)
        return self._delta(event.choice, members)

    def _refusal(self, event: Refusal) -> bytes:
        return self._delta(event.choice, b'"refusal":' + _dumps(event.text))

    def _call(self, event: ToolCall) -> bytes:
        function = {"arguments": event.arguments}
        call: dict[str, Any] = {"index": event.index, "function": function}
        if event.id:
            call |= {"id": event.id, "type": "function"}
        if event.name:
            function["name"] = event.name
        return self._delta(event.choice, b'"tool_calls":' + _dumps([call | _signed(event.signature)]))

    def _finish(self, event: Finish) -> bytes:
        return self._choices + b'%d,"delta":{},"finish_reason":%b}]}\n\n' % (event.choice, _dumps(event.reason))

    def _extra(self, event: Extra) -> bytes:
        if event.choice is not None:
            choice = {"index": event.choice, "delta": {}, "finish_reason": None, **event.data}
            return self._head + b',"choices":' + _dumps([choice]) + b"}\n\n"
        new = {key: value for key, value in event.data.items() if self._told.get(key) != value}
        if not new:
            return b""
        self._told |= new
        return self._head + b"," + _dumps(new)[1:-1] + b',"choices":[{"index":0,"delta":{},"finish_reason":null}]}\n\n'

    def _used(self, event: Used) -> bytes:
        self._usage = event
        return b""


_WRITERS: Final[Mapping[type, Callable[[ChunkWriter, Any], bytes]]] = {
    Text: ChunkWriter._text,  # noqa: SLF001 - its own
    Reasoning: ChunkWriter._reasoning,  # noqa: SLF001
    Refusal: ChunkWriter._refusal,  # noqa: SLF001
    ToolCall: ChunkWriter._call,  # noqa: SLF001
    Finish: ChunkWriter._finish,  # noqa: SLF001
    Extra: ChunkWriter._extra,  # noqa: SLF001
    Used: ChunkWriter._used,  # noqa: SLF001
}


def encode_completion(
    events: Iterable[Event],
    model: str,
    *,
    id: str | None = None,  # noqa: A002 - OpenAI's word
    created: int | None = None,
) -> bytes:
    """Render a whole answer as a `chat.completion`; arguments as `ChunkWriter`."""
    choices: dict[int, _Choice] = {}
    beside: dict[str, Any] = {}
    used: Used | None = None
    for event in events:
        if isinstance(event, Used):
            used = event
        elif event.choice is None:
            beside |= event.data
        else:
            choices.setdefault(event.choice, _Choice()).add(event)
    answer = {
        "id": id or answer_id(),
        "object": "chat.completion",
        "created": int(time.time()) if created is None else created,
        "model": model,
        **beside,
        "choices": [choices[index].render(index) for index in sorted(choices)],
        "usage": usage_of(used) if used else None,
    }
    return _dumps(answer)


def usage_of(event: Used) -> dict[str, Any]:
    """Render a usage: the provider's own object where it speaks OpenAI's dialect."""
    return event.raw if "prompt_tokens" in event.raw else openai_usage(event.usage)


def openai_usage(usage: Usage) -> dict[str, Any]:
    """Render a usage in OpenAI's words."""
    prompt = {"cached_tokens": usage.cached_tokens}
    if usage.cache_write_tokens:
        prompt["cache_write_tokens"] = usage.cache_write_tokens
    if usage.cache_write_1h_tokens:
        prompt["cache_write_1h_tokens"] = usage.cache_write_1h_tokens
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": prompt,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        **({"estimated": True} if usage.estimated else {}),
    }


class _Choice:
    """What one choice has said."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._thoughts: list[dict[str, Any]] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._beside: dict[str, Any] = {}
        self._finish: str | None = None

    def add(self, event: Event) -> None:
        """Take one event in."""
        match event:
            case Text():
                self._text.append(event.text)
            case Reasoning():
                self._think(event)
            case Refusal():
                self._refusal.append(event.text)
            case ToolCall():
                self._call(event)
            case Extra():
                self._beside = _merged(self._beside, event.data)
            case Finish():
                self._finish = event.reason

    def _think(self, event: Reasoning) -> None:
        """A seal closes a thought; what follows is another one."""
        if not self._thoughts or "signature" in self._thoughts[-1]:
            self._thoughts.append({"type": "reasoning.text", "text": ""})
        thought = self._thoughts[-1]
        thought["text"] += event.text
        if event.signature:
            thought["signature"] = event.signature

    def _call(self, event: ToolCall) -> None:
        empty = {"id": "", "type": "function", "function": {"name": "", "arguments": ""}}
        call = self._calls.setdefault(event.index, empty)
        call["id"] = call["id"] or event.id
        call["function"]["name"] += event.name
        call["function"]["arguments"] += event.arguments
        call |= _signed(event.signature)

    def render(self, index: int) -> dict[str, Any]:
        """Render it as it stands in a completion."""
        message: dict[str, Any] = {
            "role": "assistant",
            "content": "".join(self._text) if self._text else None,
            "refusal": "".join(self._refusal) or None,
        }
        if self._thoughts:
            message["reasoning_content"] = "".join(thought["text"] for thought in self._thoughts)
        seals = [thought["signature"] for thought in self._thoughts if "signature" in thought]
        if seals and len(self._thoughts) == 1:
            message["reasoning_signature"] = seals[0]
        elif seals:
            message["reasoning_details"] = self._thoughts
        if self._calls:
            message["tool_calls"] = [self._calls[place] for place in sorted(self._calls)]
        beside = dict(self._beside)
        message = _merged(message, beside.pop("delta", None))
        return {"index": index, "message": message, "logprobs": None, "finish_reason": self._finish, **beside}


def _signed(signature: str) -> dict[str, str]:
    return {"signature": signature} if signature else {}


def _merged(old: Any, new: Any) -> Any:
    """Put together what came in pieces: lists grow, objects merge, of all else the last counts."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old | {key: _merged(old.get(key), value) for key, value in new.items()}
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    return old if new is None else new


def _dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # half a character, as models that are cut in the middle of one send
        return orjson.dumps(_clean(value))


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return [_clean(item) for item in value] if isinstance(value, list | tuple) else value
