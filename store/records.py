"""The records of the event log, and which of them stay visible after a redelivery. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

SUPERSEDED: Final = "attempt_superseded"


@dataclass(frozen=True, slots=True)
class NewEvent:
    """What is about to be logged."""

    type: str
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of the thread with the events: its status, who holds it, and its title if it has none yet."""

    status: str
    agent: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One record of the log."""

    thread_id: str
    seq: int
    run_id: str | None
    attempt: int
    type: str
    data: dict[str, Any]
    at: datetime


def visible(events: Sequence[LoggedEvent]) -> list[LoggedEvent]:
    """Hide what a later `attempt_superseded` of the same sequence names. The markers themselves stay."""
    hidden: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for event in events:
        if event.type == SUPERSEDED:
            span = (event.data["from_seq"], event.seq)
            for kind in ("message_id", "tool_call_id"):
                for name in event.data.get(f"{kind}s", ()):
                    hidden[kind, name].append(span)
    return [event for event in events if not _is_hidden(event, hidden)] if hidden else list(events)


def _is_hidden(event: LoggedEvent, hidden: dict[tuple[str, str], list[tuple[int, int]]]) -> bool:
    spans = (
        span
        for kind in ("message_id", "tool_call_id")
        if isinstance(event.data.get(kind), str)
        for span in hidden.get((kind, event.data[kind]), ())
    )
    return any(start <= event.seq < end for start, end in spans)
