"""The Agent Server API as an app of its own: served at the root beside ours, or alone (`create_agent_server`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from ...auth.local import Authenticator
from ...core.settings import DatabaseSettings, Settings
from ...runtime.agent import AgentRuntime, build_agent_runtime
from ...runtime.graphs.registry import GraphRegistry
from ..middleware import LOOPBACK, Correlate, Credential, Guard
from ..version import version
from . import assistants, crons, errors, mcp, meta, protocol, protocol_socket, runs, state, stateless, store, threads


def agent_app(agent: AgentRuntime | None = None, *, lifespan: Any = None) -> FastAPI:
    """Make the app; without a runtime its lifespan, or whoever mounts it, sets `app.state.agent`."""
    app = FastAPI(title="CodeLab Agent Server", version=version(), docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.agent = agent
    errors.install(app)
    for part in (meta, assistants, crons, stateless, runs, threads, state, protocol, protocol_socket, store, mcp):
        app.include_router(part.router)
    return app


def create_agent_server(
    graphs: Mapping[str, Any] | GraphRegistry,
    storage: str | Settings,
    auth: Authenticator,
    *,
    hosts: Collection[str] = LOOPBACK,
) -> ASGIApp:
    """Serve any LangGraph app: the Agent Server API over your graphs, as an ASGI app without globals.

    Args:
        graphs: Compiled graphs or factories, by id.
        storage: A database URL (`sqlite:///FILE`, `postgresql://…`), or whole settings (Redis, limits, webhooks).
        auth: Turns credentials into principals; everything belongs to one.
        hosts: Host names that requests may name; `*` allows any, for a server behind a proxy.

    Raises:
        ConfigError: At the start: a graph is none, or the database is not at head.
    """
    settings = storage if isinstance(storage, Settings) else Settings(database=DatabaseSettings(url=storage))
    registry = graphs if isinstance(graphs, GraphRegistry) else GraphRegistry(graphs)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with build_agent_runtime(settings, registry) as app.state.agent:
            yield

    app = agent_app(lifespan=lifespan)
    app.add_middleware(Credential, auth=auth)
    app.add_middleware(Correlate)
    app.add_middleware(Guard, hosts=hosts)
    return app
