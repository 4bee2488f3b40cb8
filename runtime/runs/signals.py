"""Wake-ups inside one process. Losing one loses latency only: the sweeper looks at the rows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Signals:
    """Tells the executor of this process that a row is pending, or that a run shall stop."""

    def __init__(self) -> None:
        self._pending: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._stops: dict[str, Callable[[], None]] = {}

    def ready(self, run_id: str) -> None:
        """A pending row was committed."""
        if run_id not in self._queued:
            self._queued.add(run_id)
            self._pending.put_nowait(run_id)

    async def next(self) -> str:
        """Wait for the next pending row."""
        run_id = await self._pending.get()
        self._queued.discard(run_id)
        return run_id

    def on_cancel(self, run_id: str, stop: Callable[[], None]) -> None:
        """Register how to stop a run that executes here."""
        self._stops[run_id] = stop

    def forget(self, run_id: str) -> None:
        """The run no longer executes here."""
        self._stops.pop(run_id, None)

    def cancel(self, run_id: str) -> None:
        """Stop a run if it executes here; elsewhere its row says so."""
        stop = self._stops.get(run_id)
        if stop is not None:
            stop()
