"""The seam to whoever runs the graph: it turns the client's settings into a run context with handles."""

from __future__ import annotations

from typing import Any, Protocol

from ..core.errors import ConfigError
from ..tools.context import RunContext


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
