"""Looking at graphs without running them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

import structlog
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel

from ...core.errors import BadRequest, CodeLabError
from ...core.types import Principal
from ..agent_runs.inputs import is_theirs
from .drawing import drawn
from .registry import Graph, GraphRegistry
from .schemas import Schema, schemas_of

log = structlog.get_logger(__name__)


class Configured(Protocol):
    """A graph with a configuration."""

    @property
    def graph_id(self) -> str:
        """The graph."""
        ...

    @property
    def config(self) -> dict[str, Any]:
        """What its factory is told."""
        ...


class GraphViews:
    """Draws graphs and tells their schemas.

    Args:
        graphs: The graphs.
    """

    def __init__(self, graphs: GraphRegistry) -> None:
        self._graphs = graphs
        self._known: dict[str, dict[str, Schema | None]] = {}

    async def schemas(self, principal: Principal, assistant: Configured) -> dict[str, Any]:
        """Tell a graph's schemas; those of a graph that is always the same are made once."""
        graph_id = assistant.graph_id
        found = self._known.get(graph_id)
        if found is None:
            async with self._opened(principal, assistant) as graph:
                found = schemas_of(graph)
            if self._graphs.static(graph_id) is not None:
                self._known[graph_id] = found
        return {"graph_id": graph_id, **found}

    async def drawing(self, principal: Principal, assistant: Configured, *, xray: bool | int) -> dict[str, Any]:
        """Draw a graph."""
        async with self._opened(principal, assistant) as graph:
            return await drawn(graph, xray=xray)

    async def subgraphs(
        self, principal: Principal, assistant: Configured, *, namespace: str | None = None, recurse: bool = False
    ) -> dict[str, Any]:
        """Tell the schemas of the graphs inside a graph, by namespace (`node`, or `node|inner` deeper down)."""
        async with self._opened(principal, assistant) as graph:
            deep = recurse or "|" in (namespace or "")
            found = [each async for each in graph.aget_subgraphs(namespace=namespace, recurse=deep)]
            return {name: schemas_of(inner) for name, inner in found if isinstance(inner, Pregel)}

    @asynccontextmanager
    async def _opened(self, principal: Principal, assistant: Configured) -> AsyncIterator[Graph]:
        said = assistant.config.get("configurable") or {}
        theirs = {name: value for name, value in said.items() if is_theirs(name)}
        config = RunnableConfig(configurable={**theirs, "user_id": principal.user_id})
        try:
            async with self._graphs.open(
                assistant.graph_id,
                access="assistants.read",
                config=config,
                principal=principal,
                checkpointer=None,
                store=None,
            ) as graph:
                yield graph
        except CodeLabError:
            raise
        except Exception as exc:  # a factory is somebody's own code
            log.warning("graph_failed", graph_id=assistant.graph_id, error=repr(exc))
            raise BadRequest(f"{exc}" or type(exc).__name__) from exc
