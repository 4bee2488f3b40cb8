"""Runs of our own graph: a person's turn in a workspace, with approvals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.events import ApprovalRequested, DomainEvent
from ...core.settings import Settings
from ...core.types import RunStatus
from ...store.checkpoints import Checkpoints
from ...store.eventlog import EventLog, LogTransaction
from ...store.lease import Lease
from ...store.models import RunRow, ThreadRow, TurnRow, WorkspaceRow
from ...store.models.base import table_of
from ...store.prepared import prepared
from ...store.records import NewEvent
from ...store.rows import detached
from ...tools.context import RunContext
from ..approvals.requests import lets_run
from .claiming import started
from .delivery import Route, prepare
from .engine import Claimed, Desk, Ending, about
from .fold import fold
from .outcome import WAITS, Outcome, describe, may_ask_again, settle
from .stream import Translator

MODES: Final = ("messages", "updates", "custom", "values")
_WHY = {RunStatus.TIMEOUT: "the run took too long", RunStatus.ERROR: "the run failed"}
_WHY_CANCELLED: Final = "the person stopped the run"
_TURNS, _THREADS, _WORKSPACES = table_of(TurnRow), table_of(ThreadRow), table_of(WorkspaceRow)
_PLACE = prepared(
    select(_TURNS, _WORKSPACES.c.id.label("workspace_id"), _WORKSPACES.c.path.label("workspace_path"))
    .join(_THREADS, _THREADS.c.id == _TURNS.c.thread_id)
    .join(_WORKSPACES, _WORKSPACES.c.id == _THREADS.c.workspace_id)
    .where(_TURNS.c.id == bindparam("turn"))
)


@dataclass(frozen=True)
class ClaimedTurn(Claimed):
    """A claimed run of a turn, with what it stands in."""

    turn: TurnRow
    workspace_id: str
    workspace_path: str


class TurnHooks(Protocol):
    """What else happens around the runs of a turn (snapshots of its workspace)."""

    def calling(self, claimed: ClaimedTurn, tool: str) -> None:
        """The model asks for a tool, which may still need an approval; must not block."""
        ...

    def going_on(self, claimed: ClaimedTurn) -> None:
        """A person let calls run that wait in the graph; must not block."""
        ...

    def rested(self, claimed: ClaimedTurn) -> None:
        """The turn came to rest; must not block."""
        ...


class ContextMaker(Protocol):
    """Builds what nodes and tools act with."""

    def context(self, claimed: ClaimedTurn) -> RunContext:
        """Make the context of one run."""
        ...


@dataclass(frozen=True, kw_only=True)
class TurnDriver:
    """Executes runs of kind `turn`."""

    graph: CompiledStateGraph[Any, Any, Any, Any]
    checkpoints: Checkpoints
    log: EventLog
    contexts: ContextMaker
    hooks: TurnHooks
    settings: Settings

    async def claimed(self, session: AsyncSession, run: RunRow, lease: Lease) -> ClaimedTurn:
        """Read the turn and its workspace."""
        row = (await session.execute(_PLACE, {"turn": run.turn_id})).one()
        return ClaimedTurn(run, lease, detached(TurnRow, row), row.workspace_id, row.workspace_path)

    def work(self, claimed: Claimed, desk: Desk) -> TurnWork:
        """Make one delivery."""
        return TurnWork(cast("ClaimedTurn", claimed), desk, self)

    async def give_up(self, writing: LogTransaction, run: RunRow, ending: Ending) -> None:
        """End a run that was delivered too often, or stopped after its worker had died."""
        await settle(writing, run, Outcome(ending), expiry=self.settings.approvals.expiry)


class TurnWork:
    """One delivery of a turn's run."""

    def __init__(self, claimed: ClaimedTurn, desk: Desk, driver: TurnDriver) -> None:
        self._claimed = claimed
        self._desk = desk
        self._driver = driver
        self._translator = Translator()
        saver = driver.checkpoints.saver(desk.fence, claimed.lease)
        self._graph = driver.graph.copy({"checkpointer": saver})
        self._config: RunnableConfig = {
            "configurable": {"thread_id": claimed.run.thread_id},
            "metadata": {"run_id": claimed.run.id},
            "recursion_limit": driver.settings.agents.recursion_limit,
        }

    @property
    def agent(self) -> str | None:
        """The agent that worked last."""
        return self._translator.agent

    @property
    def followed(self) -> bool:
        """People watch their turns."""
        return True

    def opening(self) -> list[NewEvent]:
        """Say that the run begins; a later delivery looks first what was said."""
        return [started(self._claimed.run, again=False)] if self._claimed.lease.attempt == 1 else []

    def describe(self, failure: BaseException) -> dict[str, str]:
        """Name a failure."""
        return describe(failure)

    async def stream(self) -> Ending:
        """Drive the graph."""
        claimed, driver = self._claimed, self._driver
        delivery = await prepare(claimed.run, Route(self._graph, self._config, driver.log, claimed.turn.message_id))
        self._translator = delivery.translator
        self._desk.record(delivery.events)
        if lets_run(claimed.run.resume):
            driver.hooks.going_on(claimed)
        parts = self._graph.astream(
            delivery.input,
            self._config,
            context=driver.contexts.context(claimed),
            stream_mode=list(MODES),
            subgraphs=True,
            version="v2",
            durability="sync",
            control=self._desk.control,
        )
        async for part in parts:
            self._take(part)
        waits = bool(self._translator.interrupts)
        return Ending(status=RunStatus.INTERRUPTED, reason=WAITS) if waits else Ending(status=RunStatus.SUCCESS)

    def _take(self, part: Any) -> None:
        events = self._translator.feed(part)
        self._desk.record(events)
        for event in events:
            if event.type == "tool.call":
                self._driver.hooks.calling(self._claimed, event.data["name"])

    async def close(self, ending: Ending) -> list[NewEvent]:
        """Keep an unfinished turn's messages, drop its sub-graphs' checkpoints: the next run must find neither."""
        events = self._translator.close()
        if ending.reason == WAITS:
            return events
        if ending.status is not RunStatus.SUCCESS:
            why = _WHY.get(ending.status, _WHY_CANCELLED)
            events += await fold(self._graph, self._config, log=self._driver.log, why=why)
        self._desk.fence()
        await self._driver.checkpoints.prune(self._claimed.run.thread_id)
        return events

    async def settle(self, ending: Ending, said: Sequence[NewEvent]) -> Sequence[DomainEvent]:
        """Write the end, and the approvals that are asked for."""
        run, expiry = self._claimed.run, self._driver.settings.approvals.expiry
        outcome = self._outcome(ending)
        opened = self._driver.log.transaction if may_ask_again(run, outcome) else self._driver.log.direct
        async with opened() as writing:
            approvals = await settle(writing, run, outcome, expiry=expiry, said=said)
        return [
            ApprovalRequested(approval_id=each.id, tool=each.tool, risk=each.risk, **about(run, self.agent))
            for each in approvals
        ]

    def rested(self, ending: Ending) -> None:
        """Take the snapshot after the turn."""
        if ending.reason != WAITS:
            self._driver.hooks.rested(self._claimed)

    def _outcome(self, ending: Ending) -> Outcome:
        translator = self._translator
        return Outcome(
            ending,
            interrupts=tuple(translator.interrupts) if ending.reason == WAITS else (),
            usage=translator.usage,
            agent=translator.agent,
            policy=translator.state.get("policy"),
        )
