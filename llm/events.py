"""What an answer consists of, whoever gives it: the canonical events, and batches of them as they come off a socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from .usage import Usage


class Text(Struct, tag="text", frozen=True, omit_defaults=True, gc=False):
    """Some text of choice `choice`."""

    text: str
    choice: int = 0


class Reasoning(Struct, tag="reasoning", frozen=True, omit_defaults=True, gc=False):
    """Some of what the model thought; `signature` is the provider's seal on it, to be sent back unchanged."""

    text: str = ""
    choice: int = 0
    signature: str = ""


class Refusal(Struct, tag="refusal", frozen=True, omit_defaults=True, gc=False):
    """Some of what the model said in place of an answer."""

    text: str
    choice: int = 0


class ToolCall(Struct, tag="tool_call", frozen=True, omit_defaults=True, gc=False):
    """A tool call's head (`id` and `name`) or some of its `arguments`; `index` tells parallel calls apart.

    `signature`: what Gemini wants back with the call (`thought_signature`).
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    choice: int = 0
    signature: str = ""


class Extra(Struct, tag="extra", frozen=True, omit_defaults=True):
    """What the provider said beside: of a choice (`logprobs`), or of the whole answer (`choice` is None)."""

    data: dict[str, Any]
    choice: int | None = None


class Finish(Struct, tag="finish", frozen=True, omit_defaults=True, gc=False):
    """A choice has ended: `stop`, `length`, `tool_calls` or `content_filter`."""

    reason: str
    choice: int = 0


class Used(Struct, tag="used", frozen=True, omit_defaults=True):
    """What it took, as the provider counts it; `raw` is the provider's own object. The last one counts."""

    usage: Usage
    raw: dict[str, Any] = {}


Event = Text | Reasoning | Refusal | ToolCall | Extra | Finish | Used
COMMITTING = (Text, Refusal, ToolCall)
"""Once one of these has gone out, no other model may take over: two answers would be run together."""

Decode = Callable[[bytes], Sequence[Event]]


class Batch:
    """What came off the upstream at once: events, or bytes of OpenAI's dialect that can be handed on as they are.

    Args:
        events: The events, where the adapter had to make them.
        raw: Whole SSE frames without `[DONE]`, or the whole JSON body of an answer that is not streamed.
        decode: Reads `raw`; it is called once, and only if somebody asks for the events.
    """

    __slots__ = ("_decode", "_events", "raw")

    def __init__(
        self, events: Sequence[Event] | None = None, *, raw: bytes | None = None, decode: Decode | None = None
    ) -> None:
        self._events = events
        self._decode = decode
        self.raw = raw

    @property
    def events(self) -> Sequence[Event]:
        """The events, in the order they were said."""
        if self._events is None:
            self._events = self.read(self.raw) if self.raw is not None else ()
        return self._events

    def read(self, frames: bytes) -> Sequence[Event]:
        """Decode some of the bytes only: whole frames."""
        return self._decode(frames) if self._decode is not None else ()
