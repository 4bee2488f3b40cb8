"""One delivery of one run: prepare, stream, come to rest."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.runtime import RunControl
from sqlalchemy import update

from ...core.events import ApprovalRequested, RunEnded, RunStarted
from ...core.types import RunStatus
from ...store.lease import LostLease
from ...store.models import RunRow
from ..approvals.schemas import Approval
from ..failures import told
from .claiming import Claimed
from .claiming import started as started_event
from .delivery import Route, prepare
from .engine import Engine
from .fold import fold
from .outcome import CANCELLED, WAITS, Outcome, describe, settle
from .recorder import Recorder
from .stream import Translator

log = structlog.get_logger(__name__)

MODES: Final = ("messages", "updates", "custom", "values", "tools")
_WHY = {RunStatus.TIMEOUT: "the run took too long", RunStatus.ERROR: "the run failed"}
_WHY_CANCELLED: Final = "the person stopped the run"


class Execution:
    """Drives a claimed run to its rest. `stop`, `drain` and `lose` may be called at any time from the same loop."""

    def __init__(self, claimed: Claimed, engine: Engine) -> None:
        self.claimed = claimed
        self.lease = claimed.lease
        self._engine = engine
        self._control = RunControl()
        self._confirmed = time.time()
        self._lost = False
        self._cancelled = claimed.run.cancel_requested
        self._released = False
        self._streaming: asyncio.Task[Outcome] | None = None
        self._translator = Translator()
        self._recorder = Recorder(engine.log, thread_id=claimed.run.thread_id, lease=claimed.lease)
        self._graph = engine.graph.copy({"checkpointer": engine.checkpoints.saver(self.fence)})
        self._config: RunnableConfig = {
            "configurable": {"thread_id": claimed.run.thread_id},
            "metadata": {"run_id": claimed.run.id},
            "recursion_limit": engine.settings.agents.recursion_limit,
        }

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

    def stop(self) -> None:
        """A person wants it to stop: keep what was said, and rest as interrupted."""
        self._cancelled = True
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
        if self.lease.attempt == 1:
            self._recorder.add([started_event(self.claimed.run, again=False)])
        await self._publish(RunStarted(attempt=self.lease.attempt, **self._about()))
        try:
            outcome = await self._outcome()
            if outcome is None:
                await self._back_to_queue()
                return
            approvals = await self._finish(outcome)
        except LostLease:
            log.warning("run_lost", run_id=self.lease.run_id, attempt=self.lease.attempt)
            return
        finally:
            self._recorder.drop()
        for approval in approvals:
            await self._publish(
                ApprovalRequested(approval_id=approval.id, tool=approval.tool, risk=approval.risk, **self._about())
            )
        took = time.monotonic() - started
        await self._publish(RunEnded(status=outcome.status, reason=outcome.reason, duration_s=took, **self._about()))

    async def _outcome(self) -> Outcome | None:
        """Stream to the end, the time-out or a stop; None when the run goes back to the queue."""
        if self._cancelled:
            return self._ended(RunStatus.INTERRUPTED, reason=CANCELLED)
        self._streaming = asyncio.create_task(self._stream())
        try:
            done, _ = await asyncio.wait({self._streaming}, timeout=self._engine.settings.runs.timeout_s)
        finally:
            self._streaming.cancel()
        timed_out = not done
        await asyncio.wait({self._streaming})
        if timed_out and self._streaming.cancelled():
            return self._ended(RunStatus.TIMEOUT, error={"code": "timeout", "message": "The run took too long"})
        return self._judge(self._streaming)

    def _judge(self, streamed: asyncio.Task[Outcome]) -> Outcome | None:
        if streamed.cancelled():
            if self._lost:
                raise LostLease("This run belongs to another worker")
            return None if self._released else self._ended(RunStatus.INTERRUPTED, reason=CANCELLED)
        failure = streamed.exception()
        if failure is None:
            return streamed.result()
        if isinstance(failure, GraphDrained):
            return None
        if isinstance(failure, LostLease):
            raise failure
        log.error("run_failed", run_id=self.lease.run_id, **told(failure))
        return self._ended(RunStatus.ERROR, error=describe(failure))

    async def _stream(self) -> Outcome:
        claimed = self.claimed
        route = Route(self._graph, self._config, self._engine.log, claimed.turn.message_id)
        delivery = await prepare(claimed.run, route)
        self._translator = delivery.translator
        self._recorder.add(delivery.events)
        astream: Any = self._graph.astream  # the mode "tools" is missing from its signature
        parts = astream(
            delivery.input,
            self._config,
            context=self._engine.contexts.context(claimed),
            stream_mode=list(MODES),
            subgraphs=True,
            version="v2",
            durability="sync",
            control=self._control,
        )
        async for part in parts:
            events = self._translator.feed(part)
            self._recorder.add(events)
            for event in events:
                if event.type == "tool.call":
                    self._engine.hooks.calling(claimed, event.data["name"])
        if self._translator.interrupts:
            return self._ended(RunStatus.INTERRUPTED, reason=WAITS)
        return self._ended(RunStatus.SUCCESS)

    def _ended(self, status: RunStatus, *, reason: str | None = None, error: dict[str, str] | None = None) -> Outcome:
        translator = self._translator
        return Outcome(
            status=status,
            reason=reason,
            error=error,
            interrupts=tuple(translator.interrupts) if reason == WAITS else (),
            usage=translator.usage,
            agent=translator.agent,
            policy=translator.state.get("policy"),
        )

    async def _finish(self, outcome: Outcome) -> list[Approval]:
        events = self._translator.close()
        if not outcome.waits:
            events += await self._tidy(outcome)
        self._recorder.add(events)
        await self._recorder.settle()
        async with self._engine.log.transaction() as writing:
            expiry = self._engine.settings.approvals.expiry
            approvals = await settle(writing, self.claimed.run, outcome, expiry=expiry, said=self._recorder.rest())
        if not outcome.waits:
            self._engine.hooks.rested(self.claimed)
        return approvals

    async def _tidy(self, outcome: Outcome) -> list[Any]:
        """Keep an unfinished turn's messages, drop its sub-graphs' checkpoints: the next run must find neither."""
        events: list[Any] = []
        thread_id = self.claimed.run.thread_id
        if outcome.status is not RunStatus.SUCCESS:
            why = _WHY.get(outcome.status, _WHY_CANCELLED)
            events = await fold(self._graph, self._config, log=self._engine.log, why=why)
        self.fence()
        await self._engine.checkpoints.prune(thread_id)
        return events

    async def _back_to_queue(self) -> None:
        """Give the row back; the next delivery goes on from the last checkpoint."""
        async with self._engine.log.transaction() as writing:
            await writing.lock(self.claimed.run.thread_id)
            await self.lease.hold(writing.session)
            left = self._recorder.rest()
            await writing.log(self.claimed.run.thread_id, left, run_id=self.lease.run_id, attempt=self.lease.attempt)
            await writing.session.execute(
                update(RunRow)
                .where(RunRow.id == self.lease.run_id)
                .values(status=RunStatus.PENDING, owner=None, heartbeat_at=None, handed_back=RunRow.handed_back + 1)
            )

    def _about(self) -> dict[str, Any]:
        run = self.claimed.run
        return {
            "thread_id": run.thread_id,
            "turn_id": run.turn_id,
            "run_id": run.id,
            "user_id": run.owner_id,
            "tenant_id": run.tenant_id,
            "agent": self._translator.agent,
        }

    async def _publish(self, event: Any) -> None:
        await self._engine.bus.publish(event)
