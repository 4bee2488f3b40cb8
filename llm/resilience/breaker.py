"""A circuit breaker: leaves alone for a while what does not work, then tries it with one call at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final, Literal

State = Literal["closed", "open", "half_open"]
_BUCKETS: Final = 10
REFUSED: Final = 0
"""The ticket of a call that may not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """When a breaker opens, and for how long.

    Attributes:
        window_s: How far back calls are counted.
        min_calls: With fewer in the window no ratio says anything.
        ratio: Failed of all calls in the window, from which on it opens.
        connect_failures: One after another, from which on it opens whatever the ratio.
        open_s: The first time it opens, before jitter; doubled each time that a probe fails.
        longest_open_s: The cap of that.
        longest_wait_s: The cap of what a provider may ask for with Retry-After.
    """

    window_s: float = 30
    min_calls: int = 10
    ratio: float = 0.5
    connect_failures: int = 5
    open_s: float = 5
    longest_open_s: float = 60
    longest_wait_s: float = 86_400


class _Window:
    """Calls and failures of the last seconds, in buckets."""

    __slots__ = ("_buckets", "_newest", "_width", "calls", "failures")

    def __init__(self, seconds: float) -> None:
        self._width = seconds / _BUCKETS
        self.clear()

    def clear(self) -> None:
        self._buckets = [[0, 0] for _ in range(_BUCKETS)]
        self._newest = 0
        self.calls = self.failures = 0

    def add(self, now: float, failed: int) -> None:
        bucket = self._buckets[self._advance(now)]
        bucket[0] += 1
        bucket[1] += failed
        self.calls += 1
        self.failures += failed

    def _advance(self, now: float) -> int:
        """Forget the buckets that the time has passed since the newest; return the place of the present one."""
        newest = int(now / self._width)
        if newest > self._newest:
            for gone in range(max(self._newest + 1, newest - _BUCKETS + 1), newest + 1):
                bucket = self._buckets[gone % _BUCKETS]
                self.calls -= bucket[0]
                self.failures -= bucket[1]
                bucket[0] = bucket[1] = 0
            self._newest = newest
        return self._newest % _BUCKETS


class Breaker:
    """Guards one thing that may fail: `ticket = enter()`, then exactly one of `succeeded`, `failed`, `dropped`.

    A ticket is good for the state it was given in: how a call ends that began before the breaker opened, or that was
    not the probe, changes nothing any more.

    Attributes:
        opens: How often it has opened since it last closed, not counting when a provider asked for it.
        until: While open: when the next probe may be made, on the clock's scale.
    """

    __slots__ = ("_clock", "_connects", "_epoch", "_open", "_probe", "_random", "_rules", "_window", "opens", "until")

    def __init__(self, rules: Rules, *, clock: Callable[[], float] = time.monotonic, random: Random) -> None:
        self._rules = rules
        self._clock = clock
        self._random = random
        self._window = _Window(rules.window_s)
        self._epoch = 1
        self._open = False
        self._probe = REFUSED
        self._connects = 0
        self.opens = 0
        self.until = 0.0

    @property
    def state(self) -> State:
        """`half_open`: the time is over, and a probe is made or may be."""
        if not self._open:
            return "closed"
        return "open" if self._clock() < self.until else "half_open"

    @property
    def wait_s(self) -> float:
        """Seconds until a call may be made; 0 if one may, or if the probe is under way."""
        return max(0.0, self.until - self._clock()) if self._open else 0.0

    def enter(self) -> int:
        """Ask to make a call: its ticket, or `REFUSED`."""
        if not self._open:
            return self._epoch
        if self._probe or self._clock() < self.until:
            return REFUSED
        self._epoch += 1
        self._probe = self._epoch
        return self._probe

    def begun(self, ticket: int, *, slow: bool = False) -> int:
        """Hear that a call's answer has begun: a probe has shown enough, others need not wait for its end.

        Return the ticket to go on with.
        """
        if self._open and ticket == self._probe:
            if slow:
                self._trip()
            else:
                self._close()
                return self._epoch
        return ticket

    def succeeded(self, ticket: int, *, slow: bool = False) -> None:
        """Hear that a call went well; one that took too long to begin counts as failed nevertheless."""
        if self._open:
            self.begun(ticket, slow=slow)
        elif ticket == self._epoch:
            self._connects = 0
            self._window.add(self._clock(), slow)
            if slow and self._bad():
                self._trip()

    def failed(self, ticket: int, *, connect: bool = False, retry_after: float | None = None) -> None:
        """Hear that a call failed.

        Args:
            ticket: The call's.
            connect: Nobody was there.
            retry_after: Seconds that the provider wants to be left alone; however old the ticket, it will be.
        """
        if self._open:
            if ticket == self._probe:
                self._trip()
        elif ticket == self._epoch:
            self._connects = self._connects + 1 if connect else 0
            self._window.add(self._clock(), 1)
            if self._bad():
                self._trip()
        if retry_after:
            self._leave_alone(retry_after)

    def dropped(self, ticket: int) -> None:
        """Hear that a call's end says nothing (cancelled, or the request was at fault); a probe's slot is free."""
        if ticket and ticket == self._probe:
            self._probe = REFUSED

    def _bad(self) -> bool:
        window, rules = self._window, self._rules
        crowd = window.calls >= rules.min_calls and window.failures >= rules.ratio * window.calls
        return crowd or self._connects >= rules.connect_failures

    def _trip(self) -> None:
        """Open for longer each time."""
        rules = self._rules
        longest = min(rules.longest_open_s, rules.open_s * 2.0 ** min(self.opens, 30))
        self.opens += 1
        self._open_until(self._clock() + longest * self._random.uniform(0.5, 1))

    def _leave_alone(self, retry_after: float) -> None:
        """Open, or stay open, for as long as the provider asks."""
        least = min(retry_after, self._rules.longest_wait_s) * self._random.uniform(1, 1.1)
        if self._open:
            self.until = max(self.until, self._clock() + least)
        else:
            self._open_until(self._clock() + least)

    def _open_until(self, until: float) -> None:
        self._open = True
        self._probe = REFUSED
        self._epoch += 1
        self.until = until

    def _close(self) -> None:
        self._open = False
        self._probe = REFUSED
        self._epoch += 1
        self._connects = self.opens = 0
        self._window.clear()
