"""Looking something up that many ask for at once, and that strangers can make us look for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Looking:
    """Looks once for all who wait, and not again within a pause.

    Args:
        look: Looks; what it raises, all who wait for it get.
        pause_s: Seconds between the beginnings of two looks.
        clock: Seconds; one that was set back holds nobody up.
    """

    def __init__(self, look: Callable[[], Awaitable[None]], *, pause_s: float, clock: Callable[[], float]) -> None:
        self._look = look
        self._pause_s = pause_s
        self._clock = clock
        self._began: float | None = None
        self._running: asyncio.Task[None] | None = None

    async def again(self) -> bool:
        """Look, or wait for the look that is under way; False within the pause, where nothing is new.

        What the last look raised, it raises within the pause too.
        """
        if self._running is None or self._running.done():
            now = self._clock()
            if self._began is not None and 0 <= now - self._began < self._pause_s:
                if self._running is not None and not self._running.cancelled():
                    self._running.result()
                return False
            self._began = now
            self._running = asyncio.ensure_future(self._run())
        await asyncio.shield(self._running)  # who waits may go; the others go on waiting
        return True

    async def _run(self) -> None:
        await self._look()
