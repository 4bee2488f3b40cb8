"""Writing down the ends of graphs' runs: log, thread and row in one transaction, under the run's lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import and_, bindparam, case, exists, func, literal, or_

from ...core.types import RunStatus, ThreadStatus, utc_now
from ...store.checkpoints_batch import Batches
from ...store.eventlog import EventLog, LogTransaction
from ...store.lease import HELD, Lease, prove_all
from ...store.models import RunRow, ThreadRow
from ...store.models.base import table_of
from ...store.outage import is_ones_own
from ...store.prepared import prepared
from ...store.records import Append, NewEvent
from ..runs.claiming import of_graph
from ..runs.engine import Ending
from ..runs.execution import ROLLED_BACK
from ..runs.plain import plain
from ..webhooks.service import RunEnd, WebhookService

WAITS: Final = "interrupt"
"""Why a run ended that asks something."""
LINGER: Final = timedelta(seconds=60)
"""How long a stateless run's thread outlives it: somebody may still read the end of its stream."""
AT_ONCE: Final = 100
"""Ends in one transaction."""
_RUNS: Final = table_of(RunRow)
_THREADS: Final = table_of(ThreadRow)
_DUE: Final = or_(_RUNS.c.not_before.is_(None), _RUNS.c.not_before <= bindparam("now"))
_QUEUED: Final = exists().where(
    and_(_RUNS.c.thread_id == _THREADS.c.id, _RUNS.c.status == RunStatus.PENDING.value, _DUE)
)
_REST: Final = prepared(
    _THREADS.update()
    .where(_THREADS.c.id == bindparam("thread"))
    .values(
        last_seq=_THREADS.c.last_seq + bindparam("count"),
        status=case((_QUEUED, literal(ThreadStatus.BUSY.value)), else_=bindparam("new_status")),
        interrupts=bindparam("new_interrupts", type_=_THREADS.c.interrupts.type),
        error=bindparam("new_error", type_=_THREADS.c.error.type),
        expires_at=func.coalesce(bindparam("until", type_=_THREADS.c.expires_at.type), _THREADS.c.expires_at),
        updated_at=bindparam("now"),
        state_updated_at=bindparam("now"),
    )
)
_END: Final = prepared(
    _RUNS.update()
    .where(HELD)
    .values(
        status=bindparam("new_status"),
        reason=bindparam("new_reason"),
        error=bindparam("new_error", type_=_RUNS.c.error.type),
        ended_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
)
_DROP: Final = prepared(_RUNS.delete().where(HELD))


@dataclass(frozen=True)
class Rest:
    """Where a graph came to rest: how, what its state asks (by task), and its last values."""

    ending: Ending
    interrupts: dict[str, Any] = field(default_factory=dict)
    values: Any = None

    @property
    def thread_status(self) -> ThreadStatus:
        """What the thread does from now on."""
        if self.ending.status in {RunStatus.ERROR, RunStatus.TIMEOUT}:
            return ThreadStatus.ERROR
        if self.ending.reason == ROLLED_BACK:
            return ThreadStatus.INTERRUPTED if self.interrupts else ThreadStatus.IDLE
        return ThreadStatus.INTERRUPTED if self.ending.status is RunStatus.INTERRUPTED else ThreadStatus.IDLE


@dataclass(frozen=True)
class End:
    """The end of a run, and what was left to say."""

    run: RunRow
    rest: Rest
    said: Sequence[NewEvent] = ()
    at: datetime = field(default_factory=utc_now)


class Ends:
    """Writes the ends of runs; those that come meanwhile share the next transaction.

    Args:
        log: Opens the transactions.
        webhooks: Told of runs that asked for it.
    """

    def __init__(self, log: EventLog, webhooks: WebhookService | None = None) -> None:
        self._log = log
        self._webhooks = webhooks
        self._batches: Batches[End] = Batches(self._commit, apart=is_ones_own, most=AT_ONCE)

    async def write(self, end: End) -> None:
        """Write one in a transaction that it may share.

        Raises:
            LostLease: The row no longer names this attempt of this owner.
        """
        await self._batches.add(end)

    async def settle(self, writing: LogTransaction, ends: Sequence[End]) -> None:
        """Write some, of a thread each, in the caller's transaction.

        Raises:
            LostLease: One of the rows no longer names its attempt of its owner.
        """
        await writing.log_each([_append(end) for end in ends], _REST)
        for statement, undone in ((_END, False), (_DROP, True)):
            rows = [_row(end) for end in ends if (end.rest.ending.reason == ROLLED_BACK) is undone]
            await prove_all(writing.session, statement, rows)
        for end in ends:
            await self._call(writing, end)

    async def _call(self, writing: LogTransaction, end: End) -> None:
        url = (end.run.kwargs or {}).get("webhook")
        ending = end.rest.ending
        if self._webhooks is None or not url or ending.reason == ROLLED_BACK:
            return
        told = RunEnd(status=ending.status, ended_at=end.at, values=plain(end.rest.values), error=ending.error)
        await self._webhooks.enqueue(writing.session, end.run, url, told)

    async def _commit(self, ends: Sequence[End]) -> Sequence[None]:
        async with self._log.direct() as writing:
            await self.settle(writing, ends)
        return [None] * len(ends)


def _append(end: End) -> Append:
    run, rest, ending = end.run, end.rest, end.rest.ending
    finished: dict[str, Any] = {"status": ending.status.value, **of_graph(run)}
    finished |= {"reason": ending.reason} if ending.reason else {}
    finished |= {"error": ending.error} if ending.error else {}
    asked = [each for task in rest.interrupts.values() for each in task]
    finished |= {"interrupts": asked} if asked and ending.reason == WAITS else {}
    moves = {
        "new_status": rest.thread_status.value,
        "new_interrupts": rest.interrupts,
        "new_error": ending.error,
        "until": end.at + LINGER if run.kwargs and run.kwargs.get("temporary") else None,
        "now": end.at,
    }
    return Append(run.thread_id, [*end.said, NewEvent("run.finished", finished)], run.id, run.attempt, moves)


def _row(end: End) -> dict[str, Any]:
    run, ending = end.run, end.rest.ending
    ended = {"new_status": ending.status.value, "new_reason": ending.reason, "new_error": ending.error, "now": end.at}
    return Lease(run.id, run.attempt, run.owner or "").token | ended
