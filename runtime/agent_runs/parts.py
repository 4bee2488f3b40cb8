"""The record of one SSE frame of a run (wire: C.3): how it is written, and how the frame is cut out of what was logged.

A part is written `{"event":…,"ns":…,"data":…}`, in this order, so that its data is never taken apart again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from ...store.records import NewEvent
from ...store.texts import dump_json

PART: Final = "part"
_DATA: Final = ',"data":'
"""Once before the data: in a JSON string these quotes are escaped."""
_KNOWN: Final = 512


def part(event: str, ns: Sequence[str], data: Any) -> NewEvent:
    """Make the record of one frame."""
    return NewEvent(PART, {"event": event, "ns": list(ns), "data": data})


def written_part(event: str, ns: Sequence[str], data: str) -> NewEvent:
    """The same of data that is JSON text already."""
    return NewEvent(PART, text=f"{_head(event, tuple(ns))}{data}}}")


def cut(text: str) -> tuple[str, str]:
    """Give the frame's event and data, as JSON text, of a part that was logged."""
    head, _, rest = text.partition(_DATA)
    return _event(head), rest[:-1]


def frame_event(event: str, ns: Sequence[str]) -> str:
    """Name the event of a frame: a subgraph's has its namespace behind."""
    return "|".join([event, *ns])


@lru_cache(_KNOWN)
def _head(event: str, ns: tuple[str, ...]) -> str:
    return f"{dump_json({'event': event, 'ns': ns})[:-1]}{_DATA}"


@lru_cache(_KNOWN)
def _event(head: str) -> str:
    told = json.loads(f"{head}}}")
    return frame_event(told["event"], told["ns"])
