"""What differs between two recordings, and which differences are explained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from tests.support.tree import ROOT

DOCUMENT: Final = ROOT / "docs" / "agent-api-differences.md"
_ABSENT: Final = "<absent>"
_ROW: Final = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| (.+) \|$")


@dataclass(frozen=True)
class Difference:
    """One place where two answers differ.

    Attributes:
        step: `scenario/step`.
        place: The way into the answer, with dots.
        theirs: What the peer has there.
        ours: What we have there.
    """

    step: str
    place: str
    theirs: Any
    ours: Any

    def __str__(self) -> str:
        return f"{self.step}  {self.place}\n    theirs: {_short(self.theirs)}\n    ours:   {_short(self.ours)}"


@dataclass(frozen=True)
class Explanation:
    """A row of the document: which differences (patterns of step and place), and why."""

    step: str
    place: str
    reason: str

    def covers(self, found: Difference) -> bool:
        """Whether it is about this one."""
        return fnmatchcase(found.step, self.step) and fnmatchcase(found.place, self.place)


def explanations(document: Path = DOCUMENT) -> list[Explanation]:
    """Read the rows of the document's tables."""
    rows = (_ROW.match(line) for line in document.read_text("utf-8").splitlines())
    return [Explanation(*(part.strip() for part in row.groups())) for row in rows if row]


def differences(theirs: dict[str, Any], ours: dict[str, Any]) -> list[Difference]:
    """Compare two recordings, step by step."""
    steps = [*theirs, *(step for step in ours if step not in theirs)]
    return [
        Difference(step, *found)
        for step in steps
        for found in _compare("", theirs.get(step, _ABSENT), ours.get(step, _ABSENT))
    ]


def _compare(place: str, theirs: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        for key in sorted({*theirs, *ours}):
            below = f"{place}.{key}" if place else str(key)
            yield from _compare(below, theirs.get(key, _ABSENT), ours.get(key, _ABSENT))
    elif isinstance(theirs, list) and isinstance(ours, list):
        yield from _compare_lists(place, theirs, ours)
    elif theirs != ours or type(theirs) is not type(ours):
        yield place, theirs, ours


def _compare_lists(place: str, theirs: list[Any], ours: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    """Pair what belongs together, so that one frame more does not make all that follow differ."""
    names = [_kind(item) for item in theirs], [_kind(item) for item in ours]
    for _, i, i_end, j, j_end in SequenceMatcher(None, *names, autojunk=False).get_opcodes():
        left, right = theirs[i:i_end], ours[j:j_end]
        for offset in range(max(len(left), len(right))):
            one = left[offset] if offset < len(left) else _ABSENT
            other = right[offset] if offset < len(right) else _ABSENT
            name = _kind(one if one is not _ABSENT else other)
            label = f"{(i if one is not _ABSENT else j) + offset}{'-' + name if name else ''}"
            yield from _compare(f"{place}.{label}", one, other)


def _kind(item: Any) -> str:
    """What an element of a list is, roughly: frames by event, tasks and messages by name or type."""
    if not isinstance(item, dict):
        return ""
    event = item.get("event")
    if isinstance(event, str):
        data = item.get("data")
        params = data.get("params") if isinstance(data, dict) else None
        inner = params.get("data") if isinstance(params, dict) else None
        detail = inner.get("event") if isinstance(inner, dict) else None
        return f"{event}:{detail}" if isinstance(detail, str) else event
    return str(item.get("name") or item.get("type") or "")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 300 else f"{text[:300]}…"
