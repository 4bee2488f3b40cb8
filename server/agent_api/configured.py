"""The Agent Server API as a `langgraph.json` wants it."""

from __future__ import annotations

from typing import Final

from langgraph_sdk import Auth
from starlette.types import ASGIApp

from ...auth.seams import Authenticator
from ...core.errors import ConfigError
from ...core.settings import Settings
from ...runtime.graphs.config import HeaderNames
from ...runtime.graphs.loading import ServedConfig, settings_for
from ..layers import authenticator, hosts_of
from .app import create_agent_server
from .shell import Shell

_PARTS: Final = ("assistants", "threads", "runs", "store", "mcp", "meta")
_TOLD: Final = ("x-*",)


def create_configured_server(served: ServedConfig, settings: Settings, *, auth: Authenticator | None = None) -> ASGIApp:
    """Serve a loaded config.

    Args:
        served: The config.
        settings: What the config says nothing of.
        auth: Who may come in, unless the config names an `Auth` of its own; default: as the settings say.

    Raises:
        ConfigError: The settings do not allow a start, or the config names what cannot be served.
    """
    if served.auth is not None and not isinstance(served.auth, Auth):
        kind = type(served.auth).__name__
        raise ConfigError(f"{served.path}: auth.path names a {kind}: name a langgraph_sdk.Auth.")
    try:
        return create_agent_server(
            served.graphs,
            settings_for(served, settings),
            served.auth if served.auth is not None else auth or authenticator(settings),
            hosts=hosts_of(settings),
            shell=_shell(served),
        )
    except ConfigError as exc:
        raise ConfigError(f"{served.path}: {exc.message}") from exc


def _shell(served: ServedConfig) -> Shell:
    http = served.file.http
    return Shell(
        app=served.app,
        guards_app=http.enable_custom_route_auth,
        prefix=http.mount_prefix.rstrip("/"),
        cors=http.cors.model_dump() if http.cors is not None else None,
        without=[part for part in _PARTS if getattr(http, f"disable_{part}")],
        headers=_names(http.configurable_headers),
        brought=served.brought,
    )


def _names(given: HeaderNames | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if given is None:
        return (), ()
    return _TOLD if given.includes is None else tuple(given.includes), tuple(given.excludes or ())
