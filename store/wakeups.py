"""Wake-ups: a pending run was committed, or a run shall stop. Losing one loses latency only: the rows say it too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Wakeups(Protocol):
    """Tells every executor. Callbacks run on the event loop and return at once."""

    def ready(self, run_id: str) -> None:
        """A pending run was committed, or one may be claimed by now."""
        ...

    def cancel(self, run_id: str) -> None:
        """A run shall stop; its row says so already."""
        ...

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Be told of pending runs; also when some may have been missed."""
        ...

    def on_cancel(self, callback: Callable[[str], None]) -> None:
        """Be told of runs that shall stop."""
        ...


class MemoryWakeups:
    """Wake-ups inside one process: a call reaches its callbacks before it returns."""

    def __init__(self) -> None:
        self._ready: list[Callable[[], None]] = []
        self._cancel: list[Callable[[str], None]] = []

    def ready(self, run_id: str) -> None:  # noqa: ARG002 - whoever claims asks the table which run is next
        """Tell this process."""
        self.look()

    def look(self) -> None:
        """Let this process look for pending runs."""
        for callback in self._ready:
            callback()

    def cancel(self, run_id: str) -> None:
        """Tell this process."""
        for callback in self._cancel:
            callback(run_id)

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Listen for pending runs."""
        self._ready.append(callback)

    def on_cancel(self, callback: Callable[[str], None]) -> None:
        """Listen for runs that shall stop."""
        self._cancel.append(callback)
