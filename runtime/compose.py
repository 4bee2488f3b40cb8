"""The one wiring. Entry points read settings and call this; everything else takes arguments."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from langgraph.graph.state import CompiledStateGraph

from ..agents.build import Limits
from ..agents.spec import AgentSpec, load_agents
from ..core.events import EventBus
from ..core.settings import Settings
from ..graph.build import build_graph
from ..llm.models import GatewayModels
from ..store.checkpoints import Checkpoints
from ..store.engine import Database
from ..store.eventlog import EventLog
from ..tools.context import Models
from ..tools.registry import REGISTRY
from ..tools.snapshots import Snapshots
from ..tools.spec import Effect
from .agent import AgentRuntime, Base, Storage, at_work, graph_driver, open_storage, wire_agent, wire_base
from .approvals.service import ApprovalService
from .changes.service import ChangeService
from .changes.snapshots import TurnSnapshots
from .host import RunHost
from .llm import ModelGateway, open_gateway
from .runs.engine import Driver
from .runs.owner import Owner
from .runs.repository import GRAPH, TURN
from .runs.service import RunService
from .runs.sweeper import Chore
from .runs.turns import TurnDriver
from .served import ServedHost, our_graphs
from .threads.service import ThreadService
from .webhooks.service import WebhookService
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
        llm: The model gateway, which the agents' models are on unless others were given.
        agent: The Agent Server API's services, over the same engine.
    """

    settings: Settings
    base: Base
    database: Database
    checkpoints: Checkpoints
    log: EventLog
    bus: EventBus
    graph: Graph
    agents: Mapping[str, AgentSpec]
    models: Models
    llm: ModelGateway
    workspaces: WorkspaceService
    threads: ThreadService
    runs: RunService
    approvals: ApprovalService
    changes: ChangeService
    agent: AgentRuntime


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What a runtime is made of, besides its database."""

    settings: Settings
    models: Models
    llm: ModelGateway
    bus: EventBus
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
        models: Roles to chat models; default: those of the model gateway.
        agents: The agents by name; default: the built-in ones.
        graph: A graph of the same state keys in place of ours.
        owner: This process's name on the runs it claims; default: made from host, pid and start time.

    Raises:
        ConfigError: The settings do not allow a start, or PostgreSQL is not at head (`codelab db upgrade`).
    """
    for name in settings.unused:
        log.warning("setting_unused", setting=name)
    bus = EventBus()
    async with open_storage(settings) as storage, open_gateway(settings, storage.database, bus) as llm:
        parts = Parts(
            settings=settings,
            models=models or GatewayModels(llm.gateway, llm.catalogue),
            llm=llm,
            bus=bus,
            agents=agents if agents is not None else load_agents(),
            graph=graph,
            owner=owner or Owner.here(),
        )
        runtime, turns = _wire(parts, storage)
        chores = [Chore("approvals", 1, runtime.approvals.expire), *runtime.agent.chores]
        try:
            async with at_work(runtime.base, chores, runtime.agent.webhooks):
                yield runtime
        finally:
            await turns.close()


def _wire(parts: Parts, storage: Storage) -> tuple[Runtime, TurnSnapshots]:
    settings, models, bus = parts.settings, parts.models, parts.bus
    database, checkpoints = storage.database, storage.checkpoints
    active = choosable(parts.agents, settings.agents.mode)
    served = ServedHost(database=database, models=models, bus=bus, settings=settings, agents=active)
    graph = (parts.graph or _graph(parts, checkpoints, served)).copy({"checkpointer": checkpoints.reader})
    graphs = our_graphs(graph, parts.agents, models=models, host=served, limits=Limits.of(settings.agents))
    snapshots = Snapshots(settings.data_dir)
    turns = TurnSnapshots(database, snapshots, changing=CHANGING)
    host = RunHost(database=database, models=models, bus=bus, snapshots=turns, settings=settings)
    webhooks = WebhookService(database=database, rules=settings.webhooks)
    driver = TurnDriver(
        graph=graph, checkpoints=checkpoints, log=storage.log, contexts=host, hooks=turns, settings=settings
    )
    drivers: dict[str, Driver] = {TURN: driver, GRAPH: graph_driver(storage, graphs, webhooks)}
    base = wire_base(storage, parts.owner, drivers, bus)
    runtime = Runtime(
        settings=settings,
        base=base,
        database=database,
        checkpoints=checkpoints,
        log=base.log,
        bus=bus,
        graph=graph,
        agents=active,
        models=models,
        llm=parts.llm,
        workspaces=WorkspaceService(database, roots=settings.workspaces.roots),
        threads=ThreadService(database=database, checkpoints=checkpoints, graph=graph, wakeups=base.wakeups),
        runs=RunService(log=base.log, wakeups=base.wakeups, queue=base.queue, agents=active, limits=settings.agents),
        approvals=ApprovalService(queue=base.queue, bus=bus),
        changes=ChangeService(database=database, snapshots=snapshots, turns=turns),
        agent=wire_agent(base, graphs, webhooks),
    )
    return runtime, turns


def _graph(parts: Parts, checkpoints: Checkpoints, host: ServedHost) -> Graph:
    return build_graph(
        agents=parts.agents,
        models=parts.models,
        host=host,
        checkpointer=checkpoints.reader,
        store=checkpoints.store,
        mode=parts.settings.agents.mode,
        limits=Limits.of(parts.settings.agents),
    )


def choosable(agents: Mapping[str, AgentSpec], mode: str) -> dict[str, AgentSpec]:
    """Pick the agents that a message may ask for in this mode."""
    single = mode == "single"
    return {name: spec for name, spec in agents.items() if spec.single_mode_only == single} or dict(agents)
