"""Executes runs of any graph: opens it, streams it into the log, and writes down where it came to rest."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from langgraph.checkpoint.base import CheckpointTuple
from langgraph.checkpoint.serde.types import INTERRUPT
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from langgraph.types import Interrupt
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.events import DomainEvent
from ...core.settings import Settings
from ...core.types import Principal, RunStatus
from ...store.checkpoints import Checkpoints
from ...store.eventlog import EventLog, LogTransaction
from ...store.lease import Lease
from ...store.models import RunRow
from ...store.records import NewEvent
from ..graphs.contexts import fitting
from ..graphs.registry import GraphRegistry
from ..protocol.feed import ProtocolFeed, closing_of, last_word
from ..runs.claiming import started
from ..runs.engine import Claimed, Desk, Ending
from ..runs.execution import CANCELLED, ROLLED_BACK
from ..runs.plain import plain
from .ending import WAITS, End, Ends, Rest
from .feed import RestFeed
from .inputs import config_of, input_again, input_of
from .repository import occupy

_ERROR_CHARS: Final = 20_000
CLAIM: Final[ContextVar[Claimed]] = ContextVar("claim")
"""The run that executes in this context, for hosts that build handles for it."""


class Feed(Protocol):
    """A graph's stream as records; once it has ended it tells where the graph came to rest."""

    @property
    def interrupts(self) -> list[Interrupt]:
        """What the root graph asks."""
        ...

    @property
    def values(self) -> Any:
        """The root's last values."""
        ...

    def stream(self) -> AsyncGenerator[list[NewEvent], None]:
        """Stream, each step's records."""
        ...

    def closing(self, status: str, error: Mapping[str, Any] | None = None) -> list[NewEvent]:
        """Say how the run ended, where the surface has words for it; interrupts are announced here."""
        ...


@dataclass(frozen=True, kw_only=True)
class GraphDriver:
    """Executes runs of kind `graph`."""

    graphs: GraphRegistry
    checkpoints: Checkpoints
    log: EventLog
    settings: Settings
    store_for: Callable[[Principal], BaseStore]
    ends: Ends

    async def claimed(self, session: AsyncSession, run: RunRow, lease: Lease) -> Claimed:  # noqa: ARG002
        """Nothing more to read: the row holds the whole request."""
        return Claimed(run, lease)

    def work(self, claimed: Claimed, desk: Desk) -> GraphWork:
        """Make one delivery."""
        return GraphWork(claimed, desk, self)

    async def give_up(self, writing: LogTransaction, run: RunRow, ending: Ending) -> None:
        """End a run that was delivered too often."""
        await self.ends.settle(writing, [End(run, Rest(ending), self.unopened(run, ending))])

    def unopened(self, run: RunRow, ending: Ending) -> list[NewEvent]:
        """Say how a run ended whose stream never began: a v2 client waits for it."""
        followed = (run.kwargs or {}).get("protocol")
        return [last_word(run.graph_id or "", ending.status, _told(ending))] if followed else []


@dataclass
class GraphWork:
    """One delivery of a graph's run."""

    claimed: Claimed
    desk: Desk
    driver: GraphDriver
    rest: Rest | None = None
    agent: str | None = None
    _feed: Feed | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Make the saver that only this delivery may write through."""
        self._saver = self.driver.checkpoints.saver(self.desk.fence, self.claimed.lease)

    @property
    def _asked(self) -> dict[str, Any]:
        return self.claimed.run.kwargs or {}

    @property
    def followed(self) -> bool:
        """A run that streams in no mode is only waited for."""
        return bool(self._asked["stream_mode"] or self._asked["protocol"])

    def opening(self) -> list[NewEvent]:
        """Say that the run begins, each time: a stream of a later delivery starts anew."""
        return [started(self.claimed.run, again=self.claimed.lease.attempt > 1)]

    def describe(self, failure: BaseException) -> dict[str, str]:
        """Name a failure as the wire does: the exception's class and its text."""
        return {"error": type(failure).__name__, "message": str(failure)[:_ERROR_CHARS] or repr(failure)}

    async def stream(self) -> Ending:
        """Open the graph and drive it."""
        CLAIM.set(self.claimed)
        run, driver = self.claimed.run, self.driver
        if run.not_before is not None:
            async with driver.log.transaction() as writing:
                await occupy(writing, self.claimed.lease, run.thread_id)
        progressed = run.attempt > 1 and await self._left_a_checkpoint()
        config = config_of(run, recursion_limit=driver.settings.agents.recursion_limit, progressed=progressed)
        opened = driver.graphs.open(
            run.graph_id or "",
            access="threads.create_run",
            config=config,
            principal=self.claimed.principal,
            checkpointer=self._saver,
            store=driver.store_for(self.claimed.principal),
            context=self._asked.get("context"),
        )
        async with opened as graph:
            sent = input_again(self._asked) if progressed else input_of(self._asked)
            if run.attempt > 1 and self._asked["protocol"]:
                said = await driver.log.read(run.thread_id, None, run_id=run.id)
                self.desk.record(closing_of(said))
            feed = self._feed = self._open_feed(graph, sent, config)
            async with aclosing(feed.stream()) as steps:
                async for events in steps:
                    self.desk.record(events)
            return await self._came_to(graph, config)

    def _open_feed(self, graph: Pregel[Any, Any, Any, Any], sent: Any, config: Any) -> Feed:
        asked = self._asked
        options = {
            "context": _context(graph, asked.get("context") or {}),
            "interrupt_before": asked.get("interrupt_before"),
            "interrupt_after": asked.get("interrupt_after"),
            "durability": asked["durability"],
            "control": self.desk.control,
        }
        if asked["protocol"]:
            return ProtocolFeed(graph, sent, config, graph_name=self.claimed.run.graph_id or "", **options)
        modes, subgraphs = asked["stream_mode"], asked["stream_subgraphs"]
        return RestFeed(graph=graph, sent=sent, config=config, modes=modes, subgraphs=subgraphs, options=options)

    async def _came_to(self, graph: Pregel[Any, Any, Any, Any], config: Any) -> Ending:
        """Tell an interrupt from an end; a static breakpoint shows in the state only."""
        breaks = self._asked.get("interrupt_before") or self._asked.get("interrupt_after")
        breaks = breaks or graph.interrupt_before_nodes or graph.interrupt_after_nodes
        feed = self._feed
        interrupts: dict[str, Any] = {}
        waits = bool(feed and feed.interrupts)
        if waits or breaks:
            state = await graph.aget_state({"configurable": {"thread_id": config["configurable"]["thread_id"]}})
            interrupts = {task.id: [plain(each) for each in task.interrupts] for task in state.tasks if task.interrupts}
            waits = bool(state.next)
        ending = Ending(status=RunStatus.INTERRUPTED, reason=WAITS) if waits else Ending(status=RunStatus.SUCCESS)
        self.rest = Rest(ending, interrupts=interrupts, values=feed.values if feed else None)
        return ending

    async def close(self, ending: Ending) -> list[NewEvent]:
        """Undo a rolled back run's checkpoints; tell a v2 client how the run ended."""
        self.desk.fence()
        if ending.reason == ROLLED_BACK:
            await self._saver.drop_runs(self.claimed.run.thread_id, [self.claimed.run.id])
        if self.rest is None or self.rest.ending is not ending:  # the graph may come to rest and fail in closing
            asked = await self._left_open() if ending.status is RunStatus.INTERRUPTED else {}
            self.rest = Rest(ending, interrupts=asked, values=self._feed.values if self._feed else None)
        if self._feed is not None:
            return self._feed.closing(ending.status, _told(ending))
        return self.driver.unopened(self.claimed.run, ending)

    async def settle(self, ending: Ending, said: Sequence[NewEvent]) -> Sequence[DomainEvent]:
        """Write the end."""
        await self.driver.ends.write(End(self.claimed.run, self.rest or Rest(ending), said))
        return ()

    def rested(self, ending: Ending) -> None:
        """Nothing more to do."""

    async def _newest(self) -> CheckpointTuple | None:
        return await self._saver.aget_tuple({"configurable": {"thread_id": self.claimed.run.thread_id}})

    async def _left_a_checkpoint(self) -> bool:
        newest = await self._newest()
        return newest is not None and newest.metadata.get("run_id") == self.claimed.run.id

    async def _left_open(self) -> dict[str, Any]:
        """What the state asks, by task, where a run was stopped: the questions of the run before stand again."""
        newest = await self._newest()
        writes = newest.pending_writes if newest is not None else None
        return {task: [plain(each) for each in asked] for task, channel, asked in writes or () if channel == INTERRUPT}


def _told(ending: Ending) -> dict[str, str] | None:
    """What went wrong, for a client that waits for the end. To be stopped counts; to make room for the next run not."""
    return {"error": "Cancelled", "message": "The run was cancelled"} if ending.reason == CANCELLED else ending.error


def _context(graph: Pregel[Any, Any, Any, Any], sent: dict[str, Any]) -> Any:
    """A graph without a context schema gets the plain dict; an empty context only where the schema takes it."""
    schema = graph.context_schema
    sent = fitting(schema, sent)
    if sent or schema is None:
        return sent
    try:
        return schema()
    except (TypeError, ValueError):
        return None
