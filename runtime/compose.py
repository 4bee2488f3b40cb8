"""The one wiring. Entry points read settings and call this; everything else takes arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from langgraph.graph.state import CompiledStateGraph

from ..agents.build import Limits
from ..agents.host import ContextHost
from ..agents.spec import AgentSpec, load_agents
from ..core.events import EventBus
from ..core.settings import Settings
from ..graph.build import build_graph
from ..llm.models import build_models
from ..store.checkpoints import Checkpoints, open_checkpoints
from ..store.engine import Database
from ..store.eventlog import EventLog
from ..store.migrate import prepare
from ..tools.context import Models
from ..tools.registry import REGISTRY
from ..tools.snapshots import Snapshots
from ..tools.spec import Effect
from .approvals.service import ApprovalService
from .changes.service import ChangeService
from .changes.snapshots import TurnSnapshots
from .host import RunHost
from .runs.engine import Engine
from .runs.executor import Executor
from .runs.owner import Owner
from .runs.queue import Queue
from .runs.repository import TURN
from .runs.service import RunService
from .runs.signals import LocalSignals, Signals
from .runs.sweeper import Chore, Sweeper
from .runs.turns import TurnDriver
from .threads.service import ThreadService
from .workspaces.service import WorkspaceService

Graph = CompiledStateGraph[Any, Any, Any, Any]
log = structlog.get_logger(__name__)
CHANGING = frozenset(name for name, spec in REGISTRY.items() if spec.effect is not Effect.NONE)


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """Everything an entry point talks to.

    Attributes:
        graph: The whole graph; its checkpointer reads without a fence.
        agents: The agents that a message may ask for, by name.
        log: The event log: `log.tail(thread_id, after, run_id)`.
    """

    settings: Settings
    database: Database
    checkpoints: Checkpoints
    log: EventLog
    bus: EventBus
    graph: Graph
    agents: Mapping[str, AgentSpec]
    models: Models
    workspaces: WorkspaceService
    threads: ThreadService
    runs: RunService
    approvals: ApprovalService
    changes: ChangeService
    signals: Signals
    executor: Executor
    sweeper: Sweeper


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a runtime is made of, besides its database."""

    settings: Settings
    models: Models
    agents: Mapping[str, AgentSpec]
    graph: Graph | None
    owner: Owner


@asynccontextmanager
async def build_runtime(
    settings: Settings,
    *,
    models: Models | None = None,
    agents: Mapping[str, AgentSpec] | None = None,
    graph: Graph | None = None,
    owner: Owner | None = None,
) -> AsyncIterator[Runtime]:
    """Open the database (SQLite migrates itself), start executor and sweeper; on exit runs are drained.

    Args:
        settings: What was set.
        models: Roles to chat models; default: as the settings say.
        agents: The agents by name; default: the built-in ones.
        graph: A graph of the same state keys in place of ours.
        owner: This process's name on the runs it claims; default: made from host, pid and start time.

    Raises:
        ConfigError: The settings do not allow a start, or PostgreSQL is not at head (`codelab db upgrade`).
    """
    parts = Parts(
        settings=settings,
        models=models or build_models(settings.llm),
        agents=agents if agents is not None else load_agents(),
        graph=graph,
        owner=owner or Owner.here(),
    )
    for name in settings.unused:
        log.warning("setting_unused", setting=name)
    database = Database(settings.database_url)
    try:
        await prepare(database)
        async with open_checkpoints(database) as checkpoints:
            runtime, turns = _wire(parts, database, checkpoints)
            async with _at_work(runtime, turns):
                yield runtime
    finally:
        await database.close()


@asynccontextmanager
async def _at_work(runtime: Runtime, turns: TurnSnapshots) -> AsyncIterator[None]:
    runtime.executor.start()
    runtime.sweeper.start()
    try:
        yield
    finally:
        await runtime.sweeper.stop()
        await runtime.executor.stop()
        await turns.close()


def _wire(parts: Parts, database: Database, checkpoints: Checkpoints) -> tuple[Runtime, TurnSnapshots]:
    settings, models = parts.settings, parts.models
    bus, signals, log = EventBus(), LocalSignals(), EventLog(database)
    active = choosable(parts.agents, settings.agents.mode)
    graph = (parts.graph or _graph(parts, checkpoints)).copy({"checkpointer": checkpoints.reader})
    snapshots = Snapshots(settings.data_dir)
    turns = TurnSnapshots(database, snapshots, changing=CHANGING)
    host = RunHost(database=database, models=models, bus=bus, snapshots=turns, settings=settings)
    driver = TurnDriver(graph=graph, checkpoints=checkpoints, log=log, contexts=host, hooks=turns, settings=settings)
    engine = Engine(checkpoints=checkpoints, log=log, bus=bus, settings=settings, drivers={TURN: driver})
    executor = Executor(engine, signals, parts.owner)
    queue = Queue(engine, executor, signals)
    approvals = ApprovalService(queue=queue, bus=bus)
    runtime = Runtime(
        settings=settings,
        database=database,
        checkpoints=checkpoints,
        log=log,
        bus=bus,
        graph=graph,
        agents=active,
        models=models,
        workspaces=WorkspaceService(database, roots=settings.workspaces.roots),
        threads=ThreadService(database=database, checkpoints=checkpoints, graph=graph, signals=signals),
        runs=RunService(log=log, signals=signals, queue=queue, agents=active, limits=settings.agents),
        approvals=approvals,
        changes=ChangeService(database=database, snapshots=snapshots, turns=turns),
        signals=signals,
        executor=executor,
        sweeper=Sweeper(engine, signals, executor, [Chore("approvals", 1, approvals.expire)]),
    )
    return runtime, turns


def _graph(parts: Parts, checkpoints: Checkpoints) -> Graph:
    limits = parts.settings.agents
    return build_graph(
        agents=parts.agents,
        models=parts.models,
        host=ContextHost(),
        checkpointer=checkpoints.reader,
        store=checkpoints.store,
        mode=limits.mode,
        limits=Limits(
            max_hops=limits.max_hops,
            max_model_calls=limits.max_model_calls,
            max_tool_calls=limits.max_tool_calls,
            context_tokens=limits.context_tokens,
        ),
    )


def choosable(agents: Mapping[str, AgentSpec], mode: str) -> dict[str, AgentSpec]:
    """Pick the agents that a message may ask for in this mode."""
    single = mode == "single"
    return {name: spec for name, spec in agents.items() if spec.single_mode_only == single} or dict(agents)
