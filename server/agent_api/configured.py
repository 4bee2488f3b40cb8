"""The Agent Server API as a `langgraph.json` wants it."""

from __future__ import annotations

from starlette.types import ASGIApp

from ...core.settings import Settings
from ...runtime.graphs.loading import ServedConfig
from ..app import authenticator
from .app import create_agent_server


def create_configured_server(served: ServedConfig, settings: Settings) -> ASGIApp:
    """Serve a loaded config.

    Raises:
        ConfigError: The settings do not allow a start.
    """
    return create_agent_server(served.graphs, settings, authenticator(settings))
