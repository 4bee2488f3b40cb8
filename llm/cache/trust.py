"""How far an entry has earned it that a similar question gets its answer: a threshold of its own (after vCache)."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Final

_Z: Final = 1.28
"""One-sided 90 %: how sure the lower bound is."""


def earned(seen: Sequence[tuple[float, bool]], similarity: float, *, delta: float) -> float:
    """Give the probability to answer with, so that at most `delta` of the answers are wrong.

    What was the same at this similarity or below speaks for the entry, what was different at this one or above
    against it: likeness does not make an answer worse. If P is a lower bound of being right, answering with probability
    delta / (1 - P) is wrong in at most delta of all cases; the others are asked anew and teach.

    Args:
        seen: What comparisons came to: similarity, same answer.
        similarity: Of the question at hand.
        delta: The share of wrong answers that is put up with.
    """
    right = sum(same for at, same in seen if at <= similarity)
    wrong = sum(not same for at, same in seen if at >= similarity)
    if not right:
        return 0.0
    low = lower_bound(right, right + wrong)
    return 1.0 if low >= 1 - delta else delta / (1 - low)


def lower_bound(right: int, tried: int) -> float:
    """Bound a share from below (Wilson)."""
    share, z2 = right / tried, _Z * _Z
    middle = share + z2 / (2 * tried)
    spread = _Z * sqrt(share * (1 - share) / tried + z2 / (4 * tried * tried))
    return max(0.0, (middle - spread) / (1 + z2 / tried))
