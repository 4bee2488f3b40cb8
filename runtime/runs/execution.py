"""One delivery of one run: stream, come to rest, write that down; stopping it from outside at any time."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import structlog
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from sqlalchemy import update

from ...core.events import DomainEvent, RunEnded, RunStarted
from ...core.types import RunStatus, utc_now
from ...store.lease import LostLease
from ...store.models import RunRow
from ...store.outage import is_outage
from ..failures import told
from .engine import Claimed, Desk, Ending, Engine, about
from .recorder import Recorder

log = structlog.get_logger(__name__)

CANCELLED: Final = "cancelled"
ROLLED_BACK: Final = "rollback"
DISPLACED: Final = "displaced"
_TAKEN: Final = "This run belongs to another worker"
_TIMED_OUT: Final = {"code": "timeout", "message": "The run took too long"}


class Execution:
    """Drives a claimed run to its rest. `stop`, `drain` and `lose` may be called at any time from the same loop.

    Attributes:
        ended: Resolves to the ending once that is committed; cancelled when the run is lost or goes back to the queue.
        went_back: Whether the run went back to the queue.
    """

    def __init__(self, claimed: Claimed, engine: Engine) -> None:
        self.claimed = claimed
        self.lease = claimed.lease
        self.ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.went_back = False
        self._engine = engine
        self._control = RunControl()
        self._confirmed = time.time()
        self._lost = False
        self._cancelled = claimed.run.cancel_requested
        self._action = claimed.run.cancel_action
        self._released = False
        self._streaming: asyncio.Task[Ending] | None = None
        self._recorder = Recorder(engine.log, thread_id=claimed.run.thread_id, lease=claimed.lease)
        desk = Desk(fence=self.fence, control=self._control, record=self._recorder.add)
        self.work = engine.drivers[claimed.run.kind].work(claimed, desk)

    def fence(self) -> None:
        """Raise `LostLease` unless this run was proved ours within the lease."""
        if self._lost or time.time() - self._confirmed > self._engine.settings.runs.lease_s:
            raise LostLease("This run was not confirmed in time; another worker may have it")

    def confirm(self) -> None:
        """The row was just seen to be ours."""
        self._confirmed = time.time()

    def lose(self) -> None:
        """The row is somebody else's: write nothing more."""
        self._lost = True
        self._cancel()

    def stop(self, action: str | None = None) -> None:
        """Stop it; what was done is kept, but for `rollback`. `displaced`: it makes room for the next run."""
        self._cancelled = True
        self._action = action or self._action
        self._cancel()

    def drain(self) -> None:
        """The process is about to end: stop after the step in progress and go back to the queue."""
        self._control.request_drain()

    def release(self) -> None:
        """The process ends now: stop where it is and go back to the queue."""
        self._released = True
        self._cancel()

    def _cancel(self) -> None:
        if self._streaming is not None:
            self._streaming.cancel()

    async def run(self) -> None:
        """Execute; never raises for what the graph does. A lost lease ends it silently."""
        started = time.monotonic()
        (self._recorder.add if self.work.followed else self._recorder.keep)(self.work.opening())
        await self._publish(RunStarted(attempt=self.lease.attempt, **self._about()))
        try:
            ending = await self._ending()
            if ending is None:
                await self._back_to_queue()
                return
            facts = await self._finish(ending)
        except LostLease:
            log.warning("run_lost", run_id=self.lease.run_id, attempt=self.lease.attempt)
            return
        finally:
            self._recorder.drop()
            if not self.ended.done():
                self.ended.cancel()
        for fact in facts:
            await self._publish(fact)
        took = time.monotonic() - started
        await self._publish(RunEnded(status=ending.status, reason=ending.reason, duration_s=took, **self._about()))

    async def _ending(self) -> Ending | None:
        """Stream to the end, the time-out or a stop; None when the run goes back to the queue."""
        if self._lost:
            raise LostLease(_TAKEN)
        if self._cancelled:
            return self._stopped()
        if self._released:
            return None
        self._streaming = asyncio.create_task(self.work.stream())
        try:
            done, _ = await asyncio.wait({self._streaming}, timeout=self._engine.settings.runs.timeout_s)
        finally:
            self._streaming.cancel()
        timed_out = not done
        await asyncio.wait({self._streaming})
        if timed_out and self._streaming.cancelled():
            return Ending(status=RunStatus.TIMEOUT, error=_TIMED_OUT)
        return self._judge(self._streaming)

    def _stopped(self) -> Ending:
        reason = self._action if self._action in {ROLLED_BACK, DISPLACED} else CANCELLED
        return Ending(status=RunStatus.INTERRUPTED, reason=reason)

    def _judge(self, streamed: asyncio.Task[Ending]) -> Ending | None:
        if streamed.cancelled():
            if self._lost:
                raise LostLease(_TAKEN)
            return None if self._released else self._stopped()
        failure = streamed.exception()
        if isinstance(failure, LostLease):
            raise failure
        if self._cancelled and (failure is not None or self._action == ROLLED_BACK):
            return self._stopped()  # graphs may answer a stop with an exception, or overhear it
        if failure is None:
            return streamed.result()
        if isinstance(failure, GraphDrained):
            return None
        if is_outage(failure):  # the run did nothing wrong: it is delivered again, once its lease is over
            raise failure
        log.error("run_failed", run_id=self.lease.run_id, **told(failure))
        return Ending(status=RunStatus.ERROR, error=self.work.describe(failure))

    async def _finish(self, ending: Ending) -> list[DomainEvent]:
        self._recorder.add(await self.work.close(ending))
        await self._recorder.settle()
        facts = list(await self.work.settle(ending, self._recorder.rest()))
        self.ended.set_result(ending)
        self.work.rested(ending)
        return facts

    async def _back_to_queue(self) -> None:
        """Give the row back; the next delivery goes on from the last checkpoint."""
        async with self._engine.log.transaction() as writing:
            await writing.lock(self.claimed.run.thread_id)
            await self.lease.hold(writing.session)
            left = self._recorder.rest()
            await writing.log(self.claimed.run.thread_id, left, run_id=self.lease.run_id, attempt=self.lease.attempt)
            pending = {"status": RunStatus.PENDING, "owner": None, "heartbeat_at": None, "updated_at": utc_now()}
            await writing.session.execute(
                update(RunRow)
                .where(RunRow.id == self.lease.run_id)
                .values(**pending, handed_back=RunRow.handed_back + 1)
            )
        self.went_back = True

    def _about(self) -> dict[str, Any]:
        return about(self.claimed.run, self.work.agent)

    async def _publish(self, event: DomainEvent) -> None:
        await self._engine.bus.publish(event)
