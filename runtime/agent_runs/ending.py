"""Writing down the end of a graph's run: log, thread and row in one transaction, under the run's lease."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import and_, bindparam, case, exists, literal, or_

from ...core.types import RunStatus, ThreadStatus, utc_now
from ...store.eventlog import LogTransaction
from ...store.lease import HELD, Lease
from ...store.models import RunRow, ThreadRow
from ...store.models.base import table_of
from ...store.records import NewEvent, Taking
from ..runs.claiming import of_graph
from ..runs.engine import Ending
from ..runs.execution import ROLLED_BACK
from ..runs.plain import plain
from ..webhooks.service import RunEnd, WebhookService

WAITS: Final = "interrupt"
"""Why a run ended that asks something."""
LINGER: Final = timedelta(seconds=60)
"""How long a stateless run's thread outlives it: somebody may still read the end of its stream."""
_RUNS: Final = table_of(RunRow)
_THREADS: Final = table_of(ThreadRow)
_DUE: Final = or_(_RUNS.c.not_before.is_(None), _RUNS.c.not_before <= bindparam("now"))
_QUEUED: Final = exists().where(
    and_(_RUNS.c.thread_id == _THREADS.c.id, _RUNS.c.status == RunStatus.PENDING.value, _DUE)
)
_REST: Final = (
    _THREADS.update()
    .where(_THREADS.c.id == bindparam("thread"))
    .values(
        last_seq=_THREADS.c.last_seq + bindparam("count"),
        status=case((_QUEUED, literal(ThreadStatus.BUSY.value)), else_=bindparam("new_status")),
        interrupts=bindparam("new_interrupts", type_=_THREADS.c.interrupts.type),
        error=bindparam("new_error", type_=_THREADS.c.error.type),
        expires_at=case((bindparam("lingers"), bindparam("until")), else_=_THREADS.c.expires_at),
        updated_at=bindparam("now"),
        state_updated_at=bindparam("now"),
    )
    .returning(_THREADS.c.last_seq, _THREADS.c.owner_id, _THREADS.c.tenant_id)
)
_END: Final = (
    _RUNS.update()
    .where(HELD)
    .values(
        status=bindparam("new_status"),
        reason=bindparam("new_reason"),
        error=bindparam("new_error", type_=_RUNS.c.error.type),
        ended_at=bindparam("now"),
        updated_at=bindparam("now"),
    )
    .returning(_RUNS.c.id)
)
_DROP: Final = _RUNS.delete().where(HELD).returning(_RUNS.c.id)


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


async def settle(
    writing: LogTransaction, run: RunRow, rest: Rest, *, said: Sequence[NewEvent], webhooks: WebhookService | None
) -> None:
    """Write the end of a run, after what was left to say, in the caller's transaction.

    Raises:
        LostLease: The row no longer names this attempt of this owner.
    """
    ending, now = rest.ending, utc_now()
    finished: dict[str, Any] = {"status": ending.status.value, **of_graph(run)}
    finished |= {"reason": ending.reason} if ending.reason else {}
    finished |= {"error": ending.error} if ending.error else {}
    asked = [each for task in rest.interrupts.values() for each in task]
    finished |= {"interrupts": asked} if asked and ending.reason == WAITS else {}
    lingers = bool(run.kwargs and run.kwargs.get("temporary"))
    thread: dict[str, Any] = {
        "new_status": rest.thread_status.value,
        "new_interrupts": rest.interrupts,
        "new_error": ending.error,
    }
    thread |= {"lingers": lingers, "until": now + LINGER, "now": now}
    told = [*said, NewEvent("run.finished", finished)]
    await writing.log(run.thread_id, told, run_id=run.id, attempt=run.attempt, move=Taking(_REST, thread))
    lease = Lease(run.id, run.attempt, run.owner or "")
    if ending.reason == ROLLED_BACK:
        await lease.prove(writing.session, _DROP)
        return
    row = {"new_status": ending.status.value, "new_reason": ending.reason, "new_error": ending.error, "now": now}
    await lease.prove(writing.session, _END, **row)
    if webhooks is not None and run.kwargs and run.kwargs.get("webhook"):
        end = RunEnd(status=ending.status, ended_at=now, values=plain(rest.values), error=ending.error)
        await webhooks.enqueue(writing.session, run, run.kwargs["webhook"], end)
