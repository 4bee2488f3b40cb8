"""The records of the event log, and which of them stay visible after a redelivery. Pure."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

SUPERSEDED: Final = "attempt_superseded"
FINISHED: Final = "run.finished"
_DATA: Final = "data"


@dataclass(slots=True)
class NewEvent:
    """What is about to be logged.

    Not frozen, as records are not: there is one for each token, and a frozen one takes four times as long to make.

    Attributes:
        type: Its kind.
        data: What it says.
        text: That as JSON, clean as `dump_json` makes it, where its maker had no need of `data`.
    """

    type: Final[str]
    data: Final[dict[str, Any]] = field(default_factory=dict)
    text: Final[str | None] = None


@dataclass(frozen=True, slots=True)
class Move:
    """What becomes of the thread with the events: its status, who holds it, and its title if it has none yet."""

    status: str
    agent: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Append:
    """What is appended to one thread's log beside what is appended to others.

    Attributes:
        thread_id: Whose log.
        events: At least one.
        run_id: Which run they tell of.
        attempt: Which delivery of it.
        moves: What else becomes of the thread's row: parameters of the caller's own update.
    """

    thread_id: str
    events: Sequence[NewEvent]
    run_id: str | None = None
    attempt: int = 0
    moves: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class LoggedEvent:
    """One record of the log.

    Everybody who reads it live reads the same object: nobody changes `data`. What is made of it once for all of them
    (an encoded frame) goes into `memo`, under a key of the maker's own.

    Attributes:
        content: Its data, or the JSON that was logged: most readers hand that on and never look inside.
    """

    thread_id: Final[str]
    seq: Final[int]
    run_id: Final[str | None]
    attempt: Final[int]
    type: Final[str]
    content: Final[dict[str, Any] | str]
    at: Final[datetime]
    memo: Final[dict[Any, Any]] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str | None:
        """The JSON that was logged; None for a record that was read from SQL."""
        return self.content if isinstance(self.content, str) else None

    @property
    def data(self) -> dict[str, Any]:
        """What it says, equal to what a replay gives."""
        if not isinstance(self.content, str):
            return self.content
        data: dict[str, Any] | None = self.memo.get(_DATA)
        if data is None:
            data = self.memo[_DATA] = json.loads(self.content)
        return data

    def __eq__(self, other: object) -> bool:
        """Whether both say the same at the same place."""
        return isinstance(other, LoggedEvent) and self._told() == other._told()

    __hash__ = None  # type: ignore[assignment]

    def _told(self) -> tuple[Any, ...]:
        return (self.thread_id, self.seq, self.run_id, self.attempt, self.type, self.data, self.at)


class Batch:
    """Consecutive records of one thread, one object for all who read them.

    Args:
        events: At least one, in order and without a gap.
        later: Markers known to follow, which hide some of these.
    """

    __slots__ = ("_of", "events", "first", "last", "shown", "size")

    def __init__(self, events: Sequence[LoggedEvent], later: Iterable[LoggedEvent] = ()) -> None:
        self.events = events
        self.shown: Sequence[LoggedEvent] = visible(events, later)
        self.first = events[0].seq
        self.last = events[-1].seq
        self.size = sum(len(event.content) for event in events if isinstance(event.content, str))
        self._of: dict[str, tuple[Sequence[LoggedEvent], bool]] = {}

    def beyond(self, seq: int) -> Batch:
        """Leave out what a reader has had; there must be more."""
        return self if seq < self.first else Batch(self.events[seq + 1 - self.first :])

    def of(self, run_id: str | None) -> tuple[Sequence[LoggedEvent], bool]:
        """Give the visible records of one run (None: of all), and whether the run ends here."""
        if run_id is None:
            return self.shown, False
        found = self._of.get(run_id)
        if found is None:
            found = self._of[run_id] = _until_finished([e for e in self.shown if e.run_id == run_id])
        return found


def _until_finished(events: list[LoggedEvent]) -> tuple[Sequence[LoggedEvent], bool]:
    for index, event in enumerate(events, 1):
        if event.type == FINISHED:
            return events[:index], True
    return events, False


def visible(events: Sequence[LoggedEvent], later: Iterable[LoggedEvent] = ()) -> list[LoggedEvent]:
    """Hide what an `attempt_superseded` further on, or among the `later` ones, names. The markers themselves stay."""
    hidden: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for event in (*events, *later):
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
