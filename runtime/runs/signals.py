"""The seam to wake-ups: who commits a pending run says so, whoever executes listens. Losing one loses latency only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Signals(Protocol):
    """Wake-ups, inside one process or across many (`store.wakeups`)."""

    def ready(self, run_id: str) -> None:
        """A pending run was committed, or one may be claimed by now."""
        ...

    def cancel(self, run_id: str) -> None:
        """A run shall stop; its row says so already."""
        ...

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Be told of pending runs."""
        ...

    def on_cancel(self, callback: Callable[[str], None]) -> None:
        """Be told of runs that shall stop."""
        ...


class LocalSignals:
    """Wake-ups inside one process."""

    def __init__(self) -> None:
        self._ready: list[Callable[[], None]] = []
        self._cancel: list[Callable[[str], None]] = []

    def ready(self, run_id: str) -> None:  # noqa: ARG002 - whoever claims asks the table which run is next
        """Tell every listener."""
        for callback in self._ready:
            callback()

    def cancel(self, run_id: str) -> None:
        """Tell every listener."""
        for callback in self._cancel:
            callback(run_id)

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Listen for pending runs."""
        self._ready.append(callback)

    def on_cancel(self, callback: Callable[[str], None]) -> None:
        """Listen for runs that shall stop."""
        self._cancel.append(callback)
