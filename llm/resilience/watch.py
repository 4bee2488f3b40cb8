"""Ends waits that take too long: one timer for all of them, as a timer for each costs more than all else here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

_T = TypeVar("_T")
_FINE_S: Final = 30.0
"""Shorter waits than this get a timer of their own, which is exact."""


class _Wait:
    """A task that waits, how often it had been cancelled before, and whether its time is up."""

    __slots__ = ("cancelled", "over", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        self.task = task
        self.cancelled = task.cancelling()
        self.over = False


class Watch:
    """Bounds long waits, two ticks too late at most.

    Args:
        tick_s: How often it looks.
        fine_s: Shorter waits are timed exactly.
    """

    def __init__(self, *, tick_s: float = 1.0, fine_s: float = _FINE_S) -> None:
        self._tick_s = tick_s
        self._fine_s = fine_s
        self._waits: dict[int, set[_Wait]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def bound(self, awaited: Awaitable[_T], seconds: float) -> _T:
        """Await something; raise `TimeoutError` if it takes longer."""
        if seconds < self._fine_s:
            async with asyncio.timeout(seconds):
                return await awaited
        wait, due = self._enter(seconds)
        try:
            return await awaited
        except asyncio.CancelledError:
            if wait.over and wait.task.uncancel() <= wait.cancelled:
                raise TimeoutError from None
            raise
        finally:
            self._leave(wait, due)

    def _enter(self, seconds: float) -> tuple[_Wait, int]:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if task is None:
            raise RuntimeError("only a task can wait")
        if loop is not self._loop:
            self._loop, self._timer, self._waits = loop, None, {}
        wait, due = _Wait(task), int((loop.time() + seconds) / self._tick_s) + 1
        self._waits.setdefault(due, set()).add(wait)
        if self._timer is None:
            self._timer = loop.call_later(self._tick_s, self._tick, loop)
        return wait, due

    def _leave(self, wait: _Wait, due: int) -> None:
        waits = self._waits.get(due)
        if waits is not None:
            waits.discard(wait)
            if not waits:
                del self._waits[due]

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time() / self._tick_s
        for due in [due for due in self._waits if due <= now]:
            for wait in self._waits.pop(due):
                wait.over = True
                wait.task.cancel()
        self._timer = loop.call_later(self._tick_s, self._tick, loop) if self._waits else None
