"""The application: routes, layers, and the runtime's life."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import urlsplit

from fastapi import APIRouter, FastAPI, Request, Response

from ..auth.anonymous import Anonymous
from ..auth.local import Authenticator, LocalAuth, read_or_make_token
from ..core.errors import ConfigError, NotFound
from ..core.settings import Settings
from ..runtime.compose import Runtime, build_runtime
from . import errors, health, pages
from .agent_api.app import agent_app
from .agent_api.shell import describe_both
from .cors import cross_origin, rules_for
from .middleware import LOOPBACK, Correlate, Credential, Guard
from .rest import approvals, budgets, catalog, changes, events, runs, threads, usage
from .version import version


def _api() -> APIRouter:
    api = APIRouter(prefix="/api/v1")
    for part in (threads, runs, events, approvals, changes, catalog, usage, budgets):
        api.include_router(part.router)
    return api


def hosts_of(settings: Settings) -> frozenset[str]:
    """Name the hosts that requests may name."""
    own = {settings.server.host.lower(), (urlsplit(settings.server.public_url or "").hostname or "").lower()}
    return LOOPBACK | frozenset(own - {""})


async def _unknown(_request: Request) -> Response:
    raise NotFound("There is no such address")


def authenticator(settings: Settings) -> Authenticator:
    """Make the authenticator that the settings name.

    Raises:
        ConfigError: Anonymous mode would listen beyond this machine, or as `local_auth`.
    """
    if settings.auth.mode != "anonymous":
        return local_auth(settings)
    if settings.server.host not in LOOPBACK:
        raise ConfigError("Anonymous mode serves this machine only: set SERVER__HOST to 127.0.0.1.")
    return Anonymous()


def local_auth(settings: Settings) -> LocalAuth:
    """Local mode's authenticator: the token set, else the machine's own.

    Raises:
        ConfigError: Another mode is set, or the server would listen beyond this machine.
    """
    if settings.auth.mode != "local":
        raise ConfigError(f"AUTH__MODE={settings.auth.mode} is not built yet; use local.")
    if settings.server.host not in LOOPBACK:
        raise ConfigError("Local mode serves this machine only: set SERVER__HOST to 127.0.0.1.")
    token = settings.server.token
    return LocalAuth(token.get_secret_value() if token else read_or_make_token(settings.data_dir))


def create_app(
    settings: Settings | None = None,
    *,
    runtime: AbstractAsyncContextManager[Runtime] | None = None,
    auth: Authenticator | None = None,
) -> FastAPI:
    """Build the ASGI app.

    Args:
        settings: Settings; read from the environment if left out.
        runtime: What to serve in place of `build_runtime(settings)`; it is entered and left with the app.
        auth: Who may come in, in place of local mode's one user.

    Raises:
        ConfigError: The settings do not allow a start.
    """
    settings = settings or Settings()
    auth = auth or authenticator(settings)
    serving = runtime or build_runtime(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with serving as opened:
            app.state.runtime, agents.state.agent = opened, opened.agent
            yield

    agents = agent_app()
    app = FastAPI(title="CodeLab", version=version(), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.auth = auth
    errors.install(app)
    for router in (health.router, _api(), pages.router):
        app.include_router(router)
    app.mount("/static", pages.static_files())
    app.add_route("/api/{path:path}", _unknown)
    app.mount("/", agents)  # last: whatever is not ours is the Agent Server API's
    describe_both(agents, app)
    _guard(app, settings, auth)
    return app


def _guard(app: FastAPI, settings: Settings, auth: Authenticator) -> None:
    """Put the layers around the app, innermost first."""
    origins = settings.server.cors_origins
    app.add_middleware(Credential, auth=auth, origins=origins)
    app.add_middleware(Correlate)
    if origins:
        app.add_middleware(cross_origin, **rules_for(origins))
    app.add_middleware(Guard, hosts=hosts_of(settings))
