"""The retry budget: however many requests fail, only so many calls are made on top of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_BURST_S: Final = 10
"""Seconds' worth of the least rate that may be spent at once."""


class RetryBudget:
    """A bucket of tokens that requests and time fill: `ratio` a request, `per_s` a second."""

    __slots__ = ("_at", "_clock", "_most", "_per_s", "_ratio", "_tokens")

    def __init__(self, *, ratio: float, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ratio = ratio
        self._per_s = per_s
        self._most = self._tokens = max(1.0, per_s * _BURST_S)
        self._clock = clock
        self._at = clock()

    def earn(self) -> None:
        """Count a request."""
        self._tokens = min(self._most, self._tokens + self._ratio)

    @property
    def left(self) -> int:
        """Whole tokens there are now."""
        self._fill()
        return int(self._tokens)

    def spend(self) -> bool:
        """Take the token of one retry; False if there is none."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_s)
        self._at = now
