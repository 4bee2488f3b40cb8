"""The wiring of the Agent Server API: any graphs, on the engine that our own turns run on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..core.events import EventBus
from ..core.settings import Settings
from ..core.types import utc_now
from ..store.checkpoints import Checkpoints, open_checkpoints
from ..store.checkpoints_borrowed import NOTHING, Brought, borrowing
from ..store.engine import Database
from ..store.eventlog import EventLog
from ..store.live import open_live
from ..store.migrate import prepare
from ..store.wakeups import Wakeups
from .agent_runs.driver import GraphDriver
from .agent_runs.ending import Ends
from .agent_runs.making import RunMaker
from .agent_runs.service import AgentRuns
from .agent_runs.values import Values
from .assistants.service import AssistantService
from .crons.service import CronService
from .graphs.registry import GraphRegistry
from .graphs.views import GraphViews
from .items.service import ItemService
from .mcp.tools import AssistantTools
from .protocol.service import ThreadProtocol
from .runs.engine import Driver, Engine
from .runs.executor import Executor
from .runs.owner import Owner
from .runs.queue import Queue
from .runs.repository import GRAPH
from .runs.sweeper import Chore, Sweeper
from .threads.agent import AgentThreads
from .webhooks.service import WebhookService


@dataclass(frozen=True, kw_only=True)
class Base:
    """What every wiring stands on: storage, the engine, and the door to it."""

    settings: Settings
    database: Database
    checkpoints: Checkpoints
    log: EventLog
    bus: EventBus
    wakeups: Wakeups
    engine: Engine
    executor: Executor
    queue: Queue
    sweeper: Sweeper


@dataclass(frozen=True, kw_only=True)
class AgentRuntime:
    """Everything that the routes of the Agent Server API talk to."""

    settings: Settings
    database: Database
    checkpoints: Checkpoints
    log: EventLog
    graphs: GraphRegistry
    views: GraphViews
    assistants: AssistantService
    threads: AgentThreads
    runs: AgentRuns
    items: ItemService
    crons: CronService
    webhooks: WebhookService
    protocol: ThreadProtocol
    tools: AssistantTools

    @property
    def chores(self) -> Sequence[Chore]:
        """What the clock must do for it."""
        return (
            Chore("threads", 5, self.threads.sweep_expired),
            Chore("crons", 1, self.crons.fire_due),
            Chore("items", 10, self.items.sweep),
            Chore("events", 300, self._trim_events),
        )

    async def _trim_events(self) -> None:
        kept = self.settings.events
        await self.log.trim_finished(utc_now() - kept.retention, kept.max_per_thread)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """An opened database with everything that lives in it, before there is an engine."""

    settings: Settings
    database: Database
    checkpoints: Checkpoints
    log: EventLog
    wakeups: Wakeups


@asynccontextmanager
async def open_storage(settings: Settings, brought: Brought = NOTHING) -> AsyncIterator[Storage]:
    """Open the database; SQLite migrates itself. What an application brought takes the place of ours.

    Raises:
        ConfigError: The settings do not allow a start, or PostgreSQL is not at head (`codelab db upgrade`).
    """
    database = Database(settings.database_url)
    try:
        await prepare(database)
        redis = None if database.is_sqlite else settings.redis.url  # processes that share a SQLite file poll
        async with (
            open_checkpoints(database) as ours,
            borrowing(ours, brought) as checkpoints,
            open_live(redis) as live,
        ):
            yield Storage(
                settings=settings,
                database=database,
                checkpoints=checkpoints,
                log=EventLog(database, tail=live.tail),
                wakeups=live.wakeups,
            )
    finally:
        await database.close()


def wire_base(storage: Storage, owner: Owner, drivers: Mapping[str, Driver], bus: EventBus) -> Base:
    """Put an engine on a storage."""
    engine = Engine(
        checkpoints=storage.checkpoints, log=storage.log, bus=bus, settings=storage.settings, drivers=drivers
    )
    executor = Executor(engine, storage.wakeups, owner)
    return Base(
        settings=storage.settings,
        database=storage.database,
        checkpoints=storage.checkpoints,
        log=storage.log,
        bus=bus,
        wakeups=storage.wakeups,
        engine=engine,
        executor=executor,
        queue=Queue(engine, executor, storage.wakeups),
        sweeper=Sweeper(engine, storage.wakeups, executor),
    )


def graph_driver(storage: Storage, graphs: GraphRegistry, webhooks: WebhookService) -> GraphDriver:
    """Make the driver of runs of graphs."""
    return GraphDriver(
        graphs=graphs,
        checkpoints=storage.checkpoints,
        log=storage.log,
        settings=storage.settings,
        store_for=ItemService(storage.checkpoints.store).store_of,
        ends=Ends(storage.log, webhooks),
    )


def wire_agent(base: Base, graphs: GraphRegistry, webhooks: WebhookService) -> AgentRuntime:
    """Put the services together, on what the process has already."""
    threads = AgentThreads(log=base.log, checkpoints=base.checkpoints, graphs=graphs, wakeups=base.wakeups)
    assistants = AssistantService(database=base.database, graphs=graphs, threads=threads)
    runs = AgentRuns(
        log=base.log,
        maker=RunMaker(queue=base.queue, wakeups=base.wakeups, assistants=assistants, graphs=graphs, webhooks=webhooks),
        wakeups=base.wakeups,
        executor=base.executor,
        values=Values(base.database, graphs, base.checkpoints),
    )
    views = GraphViews(graphs)
    return AgentRuntime(
        settings=base.settings,
        database=base.database,
        checkpoints=base.checkpoints,
        log=base.log,
        graphs=graphs,
        views=views,
        assistants=assistants,
        threads=threads,
        runs=runs,
        items=ItemService(base.checkpoints.store),
        crons=CronService(base.database, runs, assistants, webhooks),
        webhooks=webhooks,
        protocol=ThreadProtocol(runs=runs, log=base.log),
        tools=AssistantTools(assistants=assistants, views=views, runs=runs),
    )


@asynccontextmanager
async def at_work(base: Base, chores: Sequence[Chore], webhooks: WebhookService) -> AsyncIterator[None]:
    """Execute, sweep and call webhooks for the life of the block; on exit runs are drained."""
    base.sweeper.chores = chores
    base.executor.start()
    base.sweeper.start()
    webhooks.start()
    try:
        yield
    finally:
        await webhooks.stop()
        await base.sweeper.stop()
        await base.executor.stop()


@asynccontextmanager
async def build_agent_runtime(
    settings: Settings, graphs: GraphRegistry, *, owner: Owner | None = None, brought: Brought = NOTHING
) -> AsyncIterator[AgentRuntime]:
    """Serve graphs without anything of CodeLab's own; on exit runs are drained.

    Raises:
        ConfigError: As `open_storage`.
    """
    async with open_storage(settings, brought) as storage:
        webhooks = WebhookService(database=storage.database, rules=settings.webhooks)
        driver = graph_driver(storage, graphs, webhooks)
        base = wire_base(storage, owner or Owner.here(), {GRAPH: driver}, EventBus())
        agent = wire_agent(base, graphs, webhooks)
        async with at_work(base, agent.chores, webhooks):
            yield agent
