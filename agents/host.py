"""The seam to whoever runs the graph: it turns the client's settings into a run context with handles."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Protocol

from ..core import permissions
from ..core.context import RunSettings
from ..core.errors import ConfigError
from ..core.events import EventBus
from ..core.types import Principal, new_id
from ..tools.context import Artifacts, Journal, Models, RunContext
from ..tools.memory import MemoryArtifacts, MemoryJournal
from ..tools.workspace import Workspace


class Host(Protocol):
    """Makes the run context of the call in progress."""

    async def live(self, runtime: Any) -> RunContext:
        """Return the context for `runtime` (a LangGraph `Runtime` or `ToolRuntime`)."""
        ...


class ContextHost:
    """The host of an embedded run: the caller already passed a `RunContext`."""

    async def live(self, runtime: Any) -> RunContext:
        """Return `runtime.context`; `ConfigError` when the caller passed none."""
        if isinstance(runtime.context, RunContext):
            return runtime.context
        raise ConfigError("pass context=RunContext(...) when running this graph")


class WorkspaceHost:
    """A host for one workspace, where the caller passes plain `RunSettings` (Studio) or nothing at all.

    Args:
        workspace: The folder every thread works in.
        models: Roles to models.
        journal: Remembers executed calls; in memory if left out.
        artifacts: Keeps long outputs; in memory if left out.
        bus: Where domain events go.
    """

    def __init__(
        self,
        workspace: Workspace,
        models: Models,
        *,
        journal: Journal | None = None,
        artifacts: Artifacts | None = None,
        bus: EventBus | None = None,
    ) -> None:
        self._workspace = workspace
        self._models = models
        self._journal = journal or MemoryJournal()
        self._artifacts = artifacts or MemoryArtifacts()
        self._bus = bus or EventBus()

    async def live(self, runtime: Any) -> RunContext:
        """Return the context the caller passed, or one made from its settings."""
        given = runtime.context
        if isinstance(given, RunContext):
            return given
        settings = given if isinstance(given, RunSettings) else RunSettings(**(given or {}))
        info = runtime.execution_info
        run_id = getattr(info, "run_id", None) or new_id()
        return RunContext(
            **asdict(settings),
            principal=_principal(getattr(getattr(runtime, "server_info", None), "user", None)),
            thread_id=getattr(info, "thread_id", None) or "thread",
            turn_id=run_id,
            run_id=run_id,
            workspace_handle=self._workspace,
            journal=self._journal,
            artifacts=self._artifacts,
            models=self._models,
            bus=self._bus,
        )


def _principal(user: Any) -> Principal:
    """Whoever a server's authentication let in, with the permissions that it told; without one, all is allowed."""
    if user is None:
        return Principal("local", scopes=permissions.ALL)
    return Principal(str(user.identity), scopes=frozenset(user.permissions) & permissions.ALL)
