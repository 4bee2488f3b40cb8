"""The Agent Server API as an app of its own: served at the root beside ours, or alone (`create_agent_server`)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

from fastapi import FastAPI
from langgraph_sdk import Auth
from starlette.types import ASGIApp

from ...auth.sdk import SdkAuth
from ...auth.seams import Authenticator
from ...core.settings import DatabaseSettings, Settings
from ...runtime.agent import AgentRuntime, build_agent_runtime
from ...runtime.graphs.registry import GraphRegistry
from ..admission import Admitted
from ..cors import cross_origin, rules_for
from ..credential import PUBLIC, Credential, entrance_for
from ..middleware import LOOPBACK, SOCKETS, Correlate, Guard
from ..version import version
from . import (
    assistants,
    crons,
    errors,
    mcp,
    meta,
    protocol,
    protocol_socket,
    runs,
    state,
    stateless,
    store,
    thread_stream,
    threads,
)
from .authorizing import Authorized
from .headers import Headed
from .shell import Prefixed, Shell, answers, describe_both, life_of, shadowed
from .streaming import OpenStreams

_PARTS: Final[tuple[tuple[str, Any], ...]] = (  # requests look through them in this order
    ("runs", runs),
    ("runs", stateless),
    ("threads", threads),
    ("meta", meta),
    ("assistants", assistants),
    ("runs", crons),
    ("threads", state),
    ("threads", thread_stream),
    ("runs", protocol),
    ("runs", protocol_socket),
    ("store", store),
    ("mcp", mcp),
)
_BARE: Final = Shell()
_ANYWHERE: Final = re.compile(".*")
_OPEN: Final = ("/ok", "/info")


def agent_app(agent: AgentRuntime | None = None, *, lifespan: Any = None, without: Collection[str] = ()) -> FastAPI:
    """Make the app; without a runtime its lifespan, or whoever mounts it, sets `app.state.agent`."""
    app = FastAPI(title="CodeLab Agent Server", version=version(), docs_url=None, redoc_url=None, lifespan=lifespan)
    app.state.agent = agent
    app.state.streams = OpenStreams()
    errors.install(app)
    for name, part in _PARTS:
        if name not in without:
            app.include_router(part.router)
    return app


def create_agent_server(
    graphs: Mapping[str, Any] | GraphRegistry,
    storage: str | Settings,
    auth: Authenticator | Auth,
    *,
    hosts: Collection[str] = LOOPBACK,
    shell: Shell = _BARE,
) -> ASGIApp:
    """Serve any LangGraph app: the Agent Server API over your graphs, as an ASGI app without globals.

    Args:
        graphs: Compiled graphs or factories, by id.
        storage: A database URL (`sqlite:///FILE`, `postgresql://…`), or whole settings (Redis, limits, webhooks).
        auth: Turns credentials into principals; everything belongs to one. A `langgraph_sdk.Auth` decides too what
            each may do.
        hosts: Host names that requests may name; `*` allows any, for a server behind a proxy.
        shell: What is around the API: an app of yours, a prefix, cross-origin rules; your own saver and store.

    Raises:
        ConfigError: At the start: a graph is none, or the database is not at head.
    """
    settings = storage if isinstance(storage, Settings) else Settings(database=DatabaseSettings(url=storage))
    registry = graphs if isinstance(graphs, GraphRegistry) else GraphRegistry(graphs)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[Any]:
        async with (
            build_agent_runtime(settings, registry, brought=shell.brought) as app.state.agent,
            life_of(shell.app) as state,
        ):
            yield state

    app = agent_app(lifespan=lifespan, without=shell.without)
    door = Door(auth, settings, shell)
    door.inside(app)
    return door.outside(app, hosts)


class Door:
    """The layers around the routes: who may come in, and from where.

    Args:
        auth: As for `create_agent_server`.
        settings: Name the pages of others that may call.
        shell: What the application puts around the API.
    """

    def __init__(self, auth: Authenticator | Auth, settings: Settings, shell: Shell) -> None:
        self._auth: Authenticator | SdkAuth = SdkAuth(auth) if isinstance(auth, Auth) else auth
        self._shell = shell
        origins = settings.server.cors_origins
        self._cors = dict(shell.cors) if shell.cors is not None else (rules_for(origins) if origins else None)

    def inside(self, app: FastAPI) -> None:
        """Put on what is between an application's own routes and ours."""
        if isinstance(self._auth, SdkAuth) and self._auth.has_rules:
            app.add_middleware(Authorized, auth=self._auth)
        if any(self._shell.headers):
            app.add_middleware(Headed, names=self._shell.headers)
        if not self._guards_all:
            app.add_middleware(self._guarded)
        app.add_middleware(Correlate)

    def outside(self, app: FastAPI, hosts: Collection[str]) -> ASGIApp:
        """Put on what is around both."""
        served: ASGIApp = app
        if self._shell.app is not None:
            describe_both(self._shell.app, app)
            served = shadowed(self._shell.app, app)
        if self._guards_all:
            served = self._guarded(served)
        if self._cors is not None:
            served = cross_origin(served, **self._cors)
        sockets = SOCKETS if self._shell.app is None else _ANYWHERE
        served = Guard(served, hosts=hosts, sockets=sockets)
        return Prefixed(served, prefix=self._shell.prefix) if self._shell.prefix else served

    @property
    def _guards_all(self) -> bool:
        return self._shell.app is not None and self._shell.guards_app

    def _guarded(self, served: ASGIApp) -> ASGIApp:
        """Let in whom the authenticator knows. No route of the application's is public because ours was."""
        own = frozenset(path for path in _OPEN if not answers(self._shell.app, path)) if self._guards_all else None
        if isinstance(self._auth, SdkAuth):
            return Admitted(served, admission=self._auth, public=PUBLIC if own is None else own)
        origins = (self._cors or {}).get("allow_origins", ())
        entrance = entrance_for(self._auth)
        if own is not None:
            entrance = replace(entrance, public=own, prefixes=())
        return Credential(served, auth=self._auth, origins=origins, entrance=entrance)
