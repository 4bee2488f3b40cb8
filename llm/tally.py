"""What an answer used, read off its batches as they pass: the provider's numbers, else a guess that says it is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from .chat import CompletionRequest, Outcome
from .events import Batch, Event, Finish, Reasoning, Refusal, Text, ToolCall, Used
from .usage import CHARS_PER_TOKEN, Usage, tokens_in

_MARKS: Final = (b'"usage":{', b'"usage": {', b'"finish_reason":"', b'"finish_reason": "')
_FRAME: Final = b"\n\n"
_SPOKEN: Final = (Text, Reasoning, Refusal)
_IMAGE_TOKENS: Final = 2_000
_DATA_URL: Final = b";base64,"


class Tally:
    """Counts one answer.

    Args:
        request: What was asked: the guess of the prompt is made from it.
        outcome: Gets `usage`, `raw_usage` and `finish`.
    """

    __slots__ = ("_frames", "_outcome", "_request", "_said", "_told")

    def __init__(self, request: CompletionRequest, outcome: Outcome) -> None:
        self._request = request
        self._outcome = outcome
        self._said = 0
        self._frames = 0
        self._told = False

    def see(self, batch: Batch) -> None:
        """Take note of a batch; of bytes that are passed through only the frames that tell something are read."""
        if batch.raw is None or not self._request.streamed:
            for event in batch.events:
                self._note(event)
        else:
            self._frames += batch.raw.count(b"data:")
            if any(mark in batch.raw for mark in _MARKS):
                for event in telling(batch):
                    self._note(event)

    def close(self) -> None:
        """Guess what the provider did not tell: for an answer that broke off, or was left."""
        if not (self._told or self._said or self._frames or self._outcome.attempts):
            return
        said = tokens_in(self._said) + self._frames
        if self._told:
            usage = self._outcome.usage
            if usage.estimated and not self._outcome.finish:  # the prompt is known, the answer was not yet counted
                self._outcome.usage = replace(usage, output_tokens=max(said, usage.output_tokens))
            return
        asked = prompt_tokens(self._request) if said or self._outcome.finish else 0
        self._outcome.usage = Usage(asked, said, estimated=True)

    def _note(self, event: Event) -> None:
        if isinstance(event, Used):
            self._told = True
            self._outcome.usage, self._outcome.raw_usage = event.usage, event.raw
        elif isinstance(event, Finish):
            self._outcome.finish = event.reason
        elif isinstance(event, _SPOKEN):
            self._said += len(event.text)
        elif isinstance(event, ToolCall):
            self._said += len(event.arguments) + len(event.name)


def telling(batch: Batch) -> Iterator[Event]:
    """Give the events of those frames that carry a finish or a usage; the others are not decoded."""
    raw = batch.raw or b""
    for frame in raw.split(_FRAME):
        if any(mark in frame for mark in _MARKS):
            yield from (event for event in batch.read(frame + _FRAME) if isinstance(event, Finish | Used))


def prompt_tokens(request: CompletionRequest) -> int:
    """Guess a prompt's tokens."""
    return tokens_in(_prompt_size(request))


def most_tokens(request: CompletionRequest) -> int:
    """Bound a prompt's tokens from above: what people write has two bytes a token or more."""
    return _prompt_size(request) // 2 + 1


def _prompt_size(request: CompletionRequest) -> int:
    """Bytes of what is said; an inlined picture counts as its tokens, not as its bytes."""
    raw = request.raw
    if raw is not None and _DATA_URL not in raw:
        return len(raw)
    body = request.body
    asked = sum(map(_size, body.get("messages") or ())) + _size(body.get("tools"))
    return asked + _size(body["input"]) if "input" in body else asked  # of an embedding


def _size(value: object) -> int:
    if isinstance(value, str):
        return round(_IMAGE_TOKENS * CHARS_PER_TOKEN) if value.startswith("data:") else len(value.encode())
    if isinstance(value, dict):
        return sum(len(str(key)) + _size(each) for key, each in value.items())
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return 4
