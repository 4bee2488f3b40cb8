"""The rungs of the matching ladder: each finds every place where a search text stands, by its own notion of equal."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class Place:
    """A stretch of the text, and what shall stand there instead."""

    start: int
    end: int
    new: str


Found = Sequence[Place]

_QUOTES = str.maketrans({"‘": "'", "’": "'", "‚": "'", "′": "'", "“": '"', "”": '"', "„": '"', "″": '"', "\u00a0": " "})
_BLANKS = " \t\r"


def exact(text: str, old: str, new: str) -> Found:
    """Find `old` as it is."""
    return [Place(start, start + len(old), new) for start in _occurrences(text, old)]


def normalised(text: str, old: str, new: str) -> Found:
    """Find `old` with CRLF, typographic quotes and blanks at line ends folded; what is kept stays as it was."""
    whole = old.endswith("\n") and new.endswith("\n")  # a last line without a line end shall be found too
    if whole:
        old, new = _without_eol(old), _without_eol(new)
    raw = text.split("\n")
    lines = [fold(line) for line in raw]
    needle = "\n".join(fold(line) for line in old.split("\n"))
    if not needle.strip():
        return []
    to_line_end = whole or old[-1] in _BLANKS  # else `foo ` would be found in `foobar`
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    raw_starts = list(accumulate((len(line) + 1 for line in raw), initial=0))

    def place(at: int) -> int:
        line = bisect_right(starts, at, hi=len(lines)) - 1
        return raw_starts[line] + at - starts[line]

    folded = "\n".join(lines)
    ends = [(at, at + len(needle)) for at in _occurrences(folded, needle)]
    return [
        Place(place(at), place(end), new) for at, end in ends if not to_line_end or folded[end : end + 1] in ("", "\n")
    ]


def shifted(text: str, old: str, new: str) -> Found:
    """Find the whole lines of `old` moved left or right by one same indentation; `new` is moved likewise."""
    raw = text.split("\n")
    lines = [fold(line) for line in raw]
    wanted = [fold(line) for line in _without_eol(old).split("\n")]
    anchor = next((at for at, line in enumerate(wanted) if line.strip()), None)
    if anchor is None:
        return []
    starts = list(accumulate((len(line) + 1 for line in raw), initial=0))
    found = []
    for at, line in enumerate(lines):
        first = at - anchor
        if line.strip() != wanted[anchor].strip() or first < 0 or first + len(wanted) > len(lines):
            continue
        moved = _moved(lines[first : first + len(wanted)], wanted, _without_eol(new))
        if moved is not None:
            last = first + len(wanted) - 1
            end = starts[last] + len(raw[last].removesuffix("\r"))
            found.append(_whole_lines(text, Place(starts[first], end, moved), old, new))
    return found


def _whole_lines(text: str, place: Place, old: str, new: str) -> Place:
    # The block's own line end was set aside: a deletion takes it along, an addition brings its own.
    if old.endswith("\n") == new.endswith("\n"):
        return place
    if new.endswith("\n"):
        return Place(place.start, place.end, place.new + new[len(_without_eol(new)) :])
    end = text.find("\n", place.end)
    return Place(place.start, end + 1 if end >= 0 else len(text), place.new)


def _moved(lines: Sequence[str], wanted: Sequence[str], new: str) -> str | None:
    shifts = {
        _shift(_indent(line), _indent(want))
        for line, want in zip(lines, wanted, strict=True)
        if line.strip() and line.strip() == want.strip()
    }
    same = all(line.strip() == want.strip() for line, want in zip(lines, wanted, strict=True))
    if not same or len(shifts) != 1 or None in shifts:
        return None
    shift = next(iter(shifts))
    return None if shift is None else _shift_text(new, *shift)


def _shift(have: str, want: str) -> tuple[str, str] | None:
    """What to take off and what to put before a line of the search text; None if neither does it."""
    if have.endswith(want):
        return "", have[: len(have) - len(want)]
    if want.endswith(have):
        return want[: len(want) - len(have)], ""
    return None


def _shift_text(text: str, off: str, on: str) -> str | None:
    lines = text.split("\n")
    if any(line.strip() and not line.startswith(off) for line in lines):
        return None
    return "\n".join(on + line[len(off) :] if line.strip() else line for line in lines)


def _occurrences(text: str, needle: str) -> list[int]:
    # Overlapping ones count: they make a match ambiguous too.
    found, at = [], text.find(needle)
    while at >= 0:
        found.append(at)
        at = text.find(needle, at + 1)
    return found


def fold(line: str) -> str:
    """Take off what two equal lines may differ in: typographic quotes, blanks and CR at the end."""
    return line.translate(_QUOTES).rstrip(_BLANKS)


def _indent(line: str) -> str:
    return line[: len(line) - len(line.lstrip())]


def _without_eol(text: str) -> str:
    return text.removesuffix("\n").removesuffix("\r")
