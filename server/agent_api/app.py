"""The Agent Server API as an app of its own: served at the root beside ours, or alone (`create_agent_server`)."""

from __future__ import annotations

from fastapi import FastAPI

from ...runtime.agent import AgentRuntime
from ..version import version
from . import crons, errors, meta, protocol, protocol_socket, runs, state, stateless, store, threads


def agent_app(agent: AgentRuntime | None = None) -> FastAPI:
    """Make the app; without a runtime whoever mounts it sets `app.state.agent` before the first request."""
    app = FastAPI(title="CodeLab Agent Server", version=version(), docs_url=None, redoc_url=None)
    app.state.agent = agent
    errors.install(app)
    for part in (meta, crons, stateless, runs, threads, state, protocol, protocol_socket, store):
        app.include_router(part.router)
    return app
