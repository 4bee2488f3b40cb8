"""How a model is doing: averages that fade, the usual time to its first token, a score to compare peers by."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

_WEIGHT: Final = 0.2
"""Of the newest measurement in an average."""
_FADES_S: Final = 30.0
"""After so long without news half of what was known is forgotten: whoever was slow gets another chance."""
_USUAL_FIRST_S: Final = 0.5
_USUAL_RATE: Final = 50.0
_USUAL_ANSWER: Final = 100
"""Tokens of the answer that the score is reckoned for."""
_LEAST_S: Final = 0.01
_STEP: Final = 1.25
_STEPS: Final = 48
"""The histogram's first bound, the ratio of two bounds, and how many there are: 10 ms to about 6 minutes."""
_TELLING: Final = 16
"""Tokens of an answer before its rate means anything."""
_TELLING_S: Final = 0.05
"""Seconds, likewise: what is not streamed comes all at once."""
_ENOUGH: Final = 50
"""Measurements before a 99th percentile means anything."""
_MOST: Final = 2_000
"""Measurements after which the old ones count half."""
_BASELINE_S: Final = 60.0
"""How long a percentile stands: longer than a breaker's window, so that trouble cannot become usual within one."""


class Fading:
    """A moving average that goes back to what is usual while nothing is heard."""

    __slots__ = ("_at", "_usual", "_value")

    def __init__(self, usual: float) -> None:
        self._usual = self._value = usual
        self._at = 0.0

    def add(self, value: float, now: float) -> None:
        """Take a measurement."""
        known = self.read(now)
        self._value = known + _WEIGHT * (value - known)
        self._at = now

    def read(self, now: float) -> float:
        """Return the average as it stands now."""
        if self._value == self._usual:
            return self._usual
        return self._usual + (self._value - self._usual) * math.exp2((self._at - now) / _FADES_S)


class Percentile:
    """The 99th percentile of some durations, of a while ago: what is measured now counts a minute or two later."""

    __slots__ = ("_at", "_fresh", "_known", "_settled")

    def __init__(self) -> None:
        self._settled = [0] * _STEPS
        self._fresh = [0] * _STEPS
        self._known: float | None = None
        self._at = 0.0

    def add(self, seconds: float, now: float) -> None:
        """Take a measurement."""
        place = 0 if seconds <= _LEAST_S else math.ceil(math.log(seconds / _LEAST_S, _STEP))
        self._fresh[min(place, _STEPS - 1)] += 1
        if self._known is None:
            if sum(self._fresh) >= _ENOUGH:
                self._settle(now)
                self._known = self._read()
        elif now - self._at >= _BASELINE_S:
            self._known = self._read()
            self._settle(now)

    @property
    def known(self) -> float | None:
        """The percentile in seconds; None while too little is known."""
        return self._known

    def _settle(self, now: float) -> None:
        """Add what is fresh to what is settled; where there is much, the old counts half."""
        halved = 1 + (sum(self._settled) > _MOST)
        self._settled = [old // halved + new for old, new in zip(self._settled, self._fresh, strict=True)]
        self._fresh = [0] * _STEPS
        self._at = now

    def _read(self) -> float:
        left, place = sum(self._settled) / 100, _STEPS - 1
        while (left := left - self._settled[place]) >= 0 and place:
            place -= 1
        return _LEAST_S * _STEP**place


class Health:
    """How one model of one provider is doing.

    Attributes:
        in_flight: Calls that are under way.
    """

    __slots__ = ("_clock", "_errors", "_first", "_p99", "_rate", "in_flight")

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first = Fading(_USUAL_FIRST_S)
        self._rate = Fading(_USUAL_RATE)
        self._errors = Fading(0.0)
        self._p99 = Percentile()
        self.in_flight = 0

    def began(self, seconds: float) -> None:
        """Note the time to the first token of a stream."""
        now = self._clock()
        self._first.add(seconds, now)
        self._p99.add(seconds, now)

    def ended(self, *, failed: bool, tokens: int = 0, seconds: float = 0) -> None:
        """Note how a call ended, and how many tokens came in the seconds after the first."""
        now = self._clock()
        self._errors.add(failed, now)
        if tokens >= _TELLING and seconds >= _TELLING_S:
            self._rate.add(tokens / seconds, now)

    @property
    def first_token_s(self) -> float:
        """The average time to the first token."""
        return self._first.read(self._clock())

    @property
    def usual_first_token_s(self) -> float | None:
        """What 99 of 100 first tokens take at most; None while too little is known."""
        return self._p99.known

    @property
    def tokens_per_s(self) -> float:
        """The average rate after the first token."""
        return self._rate.read(self._clock())

    @property
    def error_ratio(self) -> float:
        """How many of the latest calls failed, 0 to 1."""
        return self._errors.read(self._clock())

    def score(self) -> float:
        """Seconds that an answer may be expected to take: queueing and repetition after errors reckoned in."""
        answer_s = self.first_token_s + _USUAL_ANSWER / max(self.tokens_per_s, 1.0)
        return answer_s * (1 + self.in_flight / 4) / max(1 - self.error_ratio, 0.05)
