"""Counting in this process: so many in any stretch of time."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

MOST: Final = 50_000
"""Keys; of more the one used longest ago is forgotten. To be forgotten early costs more tries than it gains."""


class Windows:
    """Moving windows by key.

    Args:
        window_s: How long something counts.
        clock: Seconds, monotonic.
    """

    def __init__(self, window_s: float, clock: Callable[[], float]) -> None:
        self._window_s = window_s
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def hit(self, key: str, most: int) -> bool:
        """Count something unless there were `most` in the window; what is refused does not count."""
        now = self._clock()
        times = self._times.setdefault(key, deque())
        self._times.move_to_end(key)
        while times and times[0] <= now - self._window_s:
            times.popleft()
        if len(times) >= most:
            return False
        times.append(now)
        self._trim(now)
        return True

    def clear(self, key: str) -> None:
        """Forget a key's past."""
        self._times.pop(key, None)

    def _trim(self, now: float) -> None:
        """Forget what is over, from the keys used longest ago on, and what is too much."""
        while self._times:
            key, times = next(iter(self._times.items()))
            if len(self._times) <= MOST and times[-1] > now - self._window_s:
                return
            del self._times[key]
