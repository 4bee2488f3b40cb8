"""Where a text that was not found probably is: shown to the model, never applied."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

_WORD = re.compile(r"\w+|[^\w\s]")
_PROBES = 12  # the longest lines of the block stand for it
_CANDIDATES = 8
_CONTEXT = 2
_SHOWN = 40
_LINE_CAP = 200


@dataclass(frozen=True, slots=True)
class Nearest:
    """The most similar block: first line (from 1), lines, and similarity from 0 to 1."""

    line: int
    lines: int
    similarity: float


def nearest_block(lines: Sequence[str], block: Sequence[str]) -> Nearest | None:
    """Find the stretch of `lines` most like `block`; None when either is empty."""
    if not lines or not any(line.strip() for line in block):
        return None
    wanted = "\n".join(line.strip() for line in block)
    matcher = SequenceMatcher(None, autojunk=False)
    matcher.set_seq2(wanted[:4_000])
    best: Nearest | None = None
    for start in _candidates(lines, block):
        stretch = lines[start : start + len(block)]
        matcher.set_seq1("\n".join(line.strip() for line in stretch)[:4_000])
        similarity = matcher.ratio()
        if best is None or similarity > best.similarity:
            best = Nearest(start + 1, len(stretch), similarity)
    return best


def numbered(lines: Sequence[str], first: int, count: int) -> str:
    """Show `count` lines from line `first` with a little around them, numbered, at most 40."""
    begin = max(1, first - _CONTEXT)
    end = min(len(lines), first + count - 1 + _CONTEXT, begin + _SHOWN - 1)
    return "\n".join(f"{n:>5} | {lines[n - 1][:_LINE_CAP]}" for n in range(begin, end + 1))


def _candidates(lines: Sequence[str], block: Sequence[str]) -> list[int]:
    # Words shared with the block's longest lines, each in its place, rank the places to compare closely.
    longest = sorted(range(len(block)), key=lambda at: len(block[at].strip()), reverse=True)[:_PROBES]
    probes = [(at, frozenset(_WORD.findall(block[at]))) for at in longest]
    words = [frozenset(_WORD.findall(line)) for line in lines]
    last = max(1, len(lines) - len(block) + 1)
    scores = [
        (sum(len(probe & words[start + at]) for at, probe in probes if start + at < len(words)), -start)
        for start in range(last)
    ]
    return [-place for _score, place in sorted(scores, reverse=True)[:_CANDIDATES]]
