"""Making room in a thread for a new run, as its strategy says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...core.errors import Conflict
from ...core.types import RunStatus
from ...store.eventlog import LogTransaction
from ...store.records import NewEvent
from ..runs.execution import DISPLACED, ROLLED_BACK
from .repository import ask_to_stop, drop_pending

BUSY: Final = "Thread is already running a task. Wait for it to finish or choose a different multitask strategy."
ROLLBACK: Final = "rollback"
_ACTIONS: Final = {ROLLBACK: ROLLED_BACK, "interrupt": DISPLACED}
"""What each strategy does to the run in the way."""


async def make_room(writing: LogTransaction, thread_id: str, active: Mapping[str, str], strategy: str) -> Sequence[str]:
    """Apply the strategy to what is in the way; the runs that must be told to stop.

    Raises:
        Conflict: The strategy is `reject`; nothing was written yet.
    """
    if strategy == "reject":
        raise Conflict(BUSY, code="thread_busy")
    if strategy == "enqueue":
        return ()
    waiting = [run_id for run_id, status in active.items() if status == RunStatus.PENDING]
    for run_id in waiting:
        if await drop_pending(writing.session, run_id, delete_row=strategy == ROLLBACK):
            await log_dropped(writing, thread_id, run_id, strategy)
    return await ask_to_stop(writing.session, list(active), _ACTIONS[strategy])


async def log_dropped(
    writing: LogTransaction, thread_id: str, run_id: str, action: str, *, alone: str | None = None
) -> None:
    """Say in the log that a run ended before it began.

    Args:
        writing: The transaction that ends it.
        thread_id: Of the run.
        run_id: Of the run.
        action: What was asked for.
        alone: Its graph, if no other run of the thread is in flight: then a client that follows the thread waits for
            this one, and is told.
    """
    reason = "rollback" if action == ROLLBACK else "cancelled"
    finished: dict[str, Any] = {"status": RunStatus.INTERRUPTED.value, "reason": reason}
    if alone:
        finished |= {"graph_id": alone, "unbegun": True}
    await writing.log(thread_id, [NewEvent("run.finished", finished)], run_id=run_id)
