"""Work that an answer does not wait for: neither its time nor its failure tells anything."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import structlog

log = structlog.get_logger(__name__)

MOST: Final = 500
"""What is begun beyond is dropped, and logged."""


class Background:
    """Runs work that never raises, so much at a time."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Begin a piece of work."""
        if len(self._tasks) >= MOST:
            work.close()
            log.warning("background_full", dropped=name)
            return
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Wait until all that was begun is done."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
