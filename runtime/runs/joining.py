"""Pieces of one text, or of one call's arguments, that reach the log together become one record."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ...store.records import NewEvent

_NAMED: Final = {"text.delta": "message_id", "tool.args": "tool_call_id"}
"""The kinds that come in pieces, and what says whose piece one is."""


def joined(events: Iterable[NewEvent]) -> list[NewEvent]:
    """Join neighbours that continue each other; the events themselves are left as they are."""
    found: list[NewEvent] = []
    pieces: list[str] = []
    for event in events:
        if pieces and _continues(found[-1], event):
            pieces.append(event.data["delta"])
            continue
        _close(found, pieces)
        found.append(event)
        pieces = [event.data["delta"]] if event.type in _NAMED else []
    _close(found, pieces)
    return found


def _continues(before: NewEvent, event: NewEvent) -> bool:
    if event.type != before.type:
        return False
    name = _NAMED[event.type]
    return bool(event.data[name] == before.data[name])


def _close(found: list[NewEvent], pieces: list[str]) -> None:
    if len(pieces) > 1:
        last = found[-1]
        found[-1] = NewEvent(last.type, {**last.data, "delta": "".join(pieces)})
