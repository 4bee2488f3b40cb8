"""A stored answer: the canonical events with the boundaries they came in."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from ..events import COMMITTING, Event, Finish, Reasoning, Text
from ..usage import Usage

_CLEAN: Final = frozenset({"stop", "tool_calls"})
_PIECE: Final = re.compile(r"\s*\S{1,24}\s*|\s+")

Batches = Sequence[Sequence[Event]]


class Stored(Struct, frozen=True, array_like=True):
    """One answer.

    Attributes:
        batches: What came together, in the order it came.
        streamed: Whether it came as a stream; else its boundaries say nothing.
        model: The catalogue's id of who gave it.
        cost: What it cost, in nano-dollars.
        created: Seconds since the epoch; `soft` and `hard` are when it grows old and when it has ended.
        stamp: The generations of its tags when it was asked for.
    """

    batches: list[list[Event]]
    streamed: bool
    model: str
    cost: int
    usage: Usage
    created: float
    soft: float
    hard: float
    stamp: tuple[str, ...]


_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Stored)


def encode(stored: Stored) -> bytes:
    """Write an answer down; empty if a provider's own object holds something that is no data."""
    try:
        return _encoder.encode(stored)
    except (TypeError, OverflowError, UnicodeEncodeError):
        return b""


def decode(value: bytes) -> Stored | None:
    """Read an answer; None if it is none (another version wrote it, or the disk lies)."""
    try:
        return _decoder.decode(value)
    except msgspec.DecodeError:
        return None


def is_clean(batches: Batches, choices: int) -> bool:
    """Whether an answer is whole: every choice ended by itself, and something was said."""
    reasons: dict[int, str] = {}
    spoken: set[int] = set()
    for event in flat(batches):
        if isinstance(event, Finish):
            reasons[event.choice] = event.reason
        elif isinstance(event, COMMITTING):
            spoken.add(event.choice)
    return (
        bool(spoken)
        and spoken <= reasons.keys()
        and len(reasons) >= choices
        and all(reason in _CLEAN for reason in reasons.values())
    )


def flat(batches: Batches) -> Iterator[Event]:
    """Give the events without their boundaries."""
    return (event for events in batches for event in events)


def said(events: Iterable[Event]) -> str:
    """Give the text of the first choice."""
    return "".join(event.text for event in events if isinstance(event, Text) and event.choice == 0)


def shaped(stored: Stored, *, streamed: bool) -> Batches:
    """Give an answer as it was asked for: one batch where no stream is wanted, small pieces where one is.

    A stream keeps the boundaries it had. An answer that came whole is cut between words, so that whoever reads a stream
    sees one.
    """
    if not streamed:
        return [list(flat(stored.batches))]
    return stored.batches if stored.streamed else [[piece] for event in flat(stored.batches) for piece in _cut(event)]


def _cut(event: Event) -> Iterator[Event]:
    whole = isinstance(event, Reasoning) and event.signature
    if whole or not isinstance(event, Text | Reasoning) or not event.text:
        yield event
        return
    for piece in _PIECE.findall(event.text):
        yield type(event)(text=piece, choice=event.choice)
