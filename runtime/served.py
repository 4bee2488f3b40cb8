"""Our own graphs behind the Agent Server API: the whole and each agent alone, in the workspace that a run names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from ..agents.build import Limits
from ..agents.host import Host
from ..agents.spec import AgentSpec
from ..core.context import RunSettings
from ..core.errors import ConfigError, InvalidInput
from ..core.events import EventBus
from ..core.settings import Settings
from ..core.types import Principal
from ..graph.build import Graph, build_graph
from ..store.artifacts import SqlArtifacts
from ..store.engine import Database
from ..store.journal import SqlJournal
from ..store.models import WorkspaceRow
from ..tools.context import Models, RunContext
from ..tools.workspaces.local import LocalWorkspace
from .agent_runs.driver import CLAIM
from .graphs.registry import GraphRegistry
from .journal import RunJournal
from .runs.engine import Claimed
from .runs.limits import capped
from .workspaces.repository import all_workspaces, get_workspace

WHOLE = "codelab"
WRITABLE = frozenset({"messages"})
"""The policy pin, the evidence of approvals and the counters are nobody's to write but the graph's."""
_KEPT = 256


class ServedHost:
    """The host of every run: a turn brings its context along, a run of the Agent Server API gets one made here.

    Args:
        database: Workspaces, journal, artifacts.
        models: Roles to chat models.
        bus: Domain events.
        settings: Caps, expiry and time-outs.
        agents: Names that a run may ask for.
    """

    def __init__(
        self, *, database: Database, models: Models, bus: EventBus, settings: Settings, agents: Mapping[str, AgentSpec]
    ) -> None:
        self._database = database
        self._models = models
        self._bus = bus
        self._settings = settings
        self._agents = frozenset(agents)
        self._made: dict[tuple[str, int], RunContext] = {}

    async def live(self, runtime: Any) -> RunContext:
        """Return the run's context; made once per delivery."""
        given = runtime.context
        if isinstance(given, RunContext):
            return given
        claimed = CLAIM.get(None)
        if claimed is None:
            raise ConfigError("pass context=RunContext(...) when running this graph")
        key = claimed.run.id, claimed.lease.attempt
        if key not in self._made:
            while len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            asked = given if isinstance(given, RunSettings) else RunSettings(**(given or {}))
            self._made[key] = await self._make(claimed, asked)
        return self._made[key]

    async def _make(self, claimed: Claimed, asked: RunSettings) -> RunContext:
        settings = capped(asked, agents=self._agents, limits=self._settings.agents)
        principal, run = claimed.principal, claimed.run
        workspace = await self._workspace(principal, settings.workspace)
        return RunContext(
            agent=settings.agent,
            approval_mode=settings.approval_mode,
            model=settings.model,
            workspace=workspace.id,
            max_model_calls=settings.max_model_calls,
            max_tool_calls=settings.max_tool_calls,
            principal=principal,
            thread_id=run.thread_id,
            turn_id=run.id,
            run_id=run.id,
            workspace_handle=LocalWorkspace(Path(workspace.path), id=workspace.id),
            journal=RunJournal(SqlJournal(self._database, principal=principal, lease=claimed.lease)),
            artifacts=SqlArtifacts(self._database, principal),
            models=self._models,
            bus=self._bus,
            approval_expiry_s=self._settings.approvals.expiry.total_seconds(),
            command_timeout_s=self._settings.runs.command_timeout_s,
        )

    async def _workspace(self, principal: Principal, workspace_id: str | None) -> WorkspaceRow:
        """Find the one named, or the first that was registered."""
        async with self._database.read() as session:
            if workspace_id is not None:
                return await get_workspace(session, principal, workspace_id)
            known = await all_workspaces(session, principal)
        if not known:
            raise InvalidInput("There is no workspace: start with `codelab serve -w DIR`, or register a folder")
        return known[0]


def our_graphs(
    whole: Graph, agents: Mapping[str, AgentSpec], *, models: Models, host: Host, limits: Limits
) -> GraphRegistry:
    """List our graphs: the whole, and each agent alone, built when it is first asked for."""

    def alone(agent: AgentSpec) -> Callable[[], Graph]:
        @cache
        def build() -> Graph:
            single = agent.model_copy(update={"single_mode_only": True})
            return build_graph(agents={agent.name: single}, mode="single", models=models, host=host, limits=limits)

        return build

    graphs: dict[str, Any] = {WHOLE: whole, **{name: alone(agent) for name, agent in agents.items()}}
    described = {WHOLE: "A router that hands your task to the fitting agent"}
    described |= {name: agent.description for name, agent in agents.items()}
    return GraphRegistry(graphs, descriptions=described, writable=WRITABLE)
