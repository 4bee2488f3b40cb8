"""Unified diffs of two texts, in bounded time. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

_MOST_WORK = 20_000_000  # pairs of lines; beyond, the changed middle is shown as replaced

Opcode = tuple[str, int, int, int, int]


def unified(before: str, after: str, *, old: str, new: str) -> str:
    """Write the diff of two texts with `--- old` and `+++ new` above; empty when they are equal."""
    if before == after:
        return ""
    a, b = _lines(before), _lines(after)
    out = [f"--- {old}\n", f"+++ {new}\n"]
    for group in _Diff(a, b).get_grouped_opcodes(3):
        out += _hunk(group, a, b)
    return "".join(out)


def counts(before: str, after: str) -> tuple[int, int]:
    """Count the lines added and removed."""
    a, b = _lines(before), _lines(after)
    added = removed = 0
    for tag, i1, i2, j1, j2 in _Diff(a, b).get_opcodes():
        if tag != "equal":
            added, removed = added + j2 - j1, removed + i2 - i1
    return added, removed


class _Diff(SequenceMatcher[str]):
    """Compares what lies between the common head and tail only."""

    def __init__(self, a: Sequence[str], b: Sequence[str]) -> None:
        self._codes = list(_opcodes(a, b))
        super().__init__()

    def get_opcodes(self) -> list[Opcode]:  # type: ignore[override]  # the stub knows only literal tags
        """Return the opcodes found at the start."""
        return self._codes


def _opcodes(a: Sequence[str], b: Sequence[str]) -> Iterator[Opcode]:
    most = min(len(a), len(b))
    head = next((n for n in range(most) if a[n] != b[n]), most)
    tail = next((n for n in range(most - head) if a[-1 - n] != b[-1 - n]), most - head)
    end_a, end_b = len(a) - tail, len(b) - tail
    if head:
        yield "equal", 0, head, 0, head
    if (end_a - head) * (end_b - head) > _MOST_WORK:
        yield "replace", head, end_a, head, end_b
    else:
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, a[head:end_a], b[head:end_b]).get_opcodes():
            yield tag, i1 + head, i2 + head, j1 + head, j2 + head
    if tail:
        yield "equal", end_a, len(a), end_b, len(b)


def _hunk(group: Sequence[Opcode], a: Sequence[str], b: Sequence[str]) -> Iterator[str]:
    first, last = group[0], group[-1]
    yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n"
    for tag, i1, i2, j1, j2 in group:
        if tag == "equal":
            yield from _signed(" ", a[i1:i2])
        else:
            yield from _signed("-", a[i1:i2])
            yield from _signed("+", b[j1:j2])


def _range(start: int, stop: int) -> str:
    size = stop - start
    first = start + 1 if size else start  # an empty range names the line before it
    return str(first) if size == 1 else f"{first},{size}"


def _signed(sign: str, lines: Sequence[str]) -> Iterator[str]:
    for line in lines:
        yield f"{sign}{line}" if line.endswith("\n") else f"{sign}{line}\n\\ No newline at end of file\n"


def _lines(text: str) -> list[str]:
    lines = [f"{line}\n" for line in text.split("\n")]
    last = lines.pop().removesuffix("\n")
    return [*lines, last] if last else lines
