"""The application: routes, layers, and the runtime's life."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import APIRouter, FastAPI, Request, Response

from ..auth.api_keys.service import open_api_keys
from ..auth.seams import Authenticator
from ..core.errors import NotFound
from ..core.settings import Settings
from ..runtime.compose import Runtime, build_runtime
from . import errors, health, pages
from .account import error_pages
from .agent_api.app import agent_app
from .agent_api.shell import describe_both
from .layers import authenticator, surround
from .modes import at_the_door, sign_in_routers
from .openai_api.serving import Serving
from .rest import api_keys, approvals, budgets, catalog, changes, events, llm_cache, providers, runs, threads, usage
from .version import version


def _api() -> APIRouter:
    api = APIRouter(prefix="/api/v1")
    for part in (events, runs, approvals, threads, changes, catalog, usage, budgets, providers, llm_cache, api_keys):
        api.include_router(part.router)
    return api


async def _unknown(_request: Request) -> Response:
    raise NotFound("There is no such address")


def create_app(
    settings: Settings | None = None,
    *,
    runtime: AbstractAsyncContextManager[Runtime] | None = None,
    auth: Authenticator | None = None,
    models: bool = True,
) -> FastAPI:
    """Build the ASGI app.

    Args:
        settings: Settings; read from the environment if left out.
        runtime: What to serve in place of `build_runtime(settings)`; it is entered and left with the app.
        auth: Who may come in, in place of local mode's one user.
        models: Whether `/v1` is served too.

    Raises:
        ConfigError: The settings do not allow a start.
    """
    settings = settings or Settings()
    auth = auth or authenticator(settings)
    serving = runtime or build_runtime(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with serving as opened, _at_work(app, opened), at_the_door(app, auth, settings, opened.database):
            agents.state.agent = opened.agent
            yield

    agents = agent_app()
    error_pages.install(agents)
    app = FastAPI(title="CodeLab", version=version(), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.auth = auth
    errors.install(app)
    error_pages.install(app)
    _include(app, agents, sign_in_routers(auth))
    surround(app, settings, auth, (lambda: app.state.v1) if models else None)
    return app


@asynccontextmanager
async def _at_work(app: FastAPI, runtime: Runtime) -> AsyncIterator[None]:
    """Show the routes what they work with."""
    async with open_api_keys(runtime.database) as keys:
        app.state.runtime, app.state.api_keys = runtime, keys
        app.state.v1 = Serving(gateway=runtime.llm, keys=keys)
        yield


def _include(app: FastAPI, agents: FastAPI, of_mode: Sequence[APIRouter]) -> None:
    # Asked in this order: what every turn calls comes first.
    for router in (_api(), health.router, pages.router, *of_mode):
        app.include_router(router)
    app.mount("/static", pages.static_files())
    app.add_route("/api/{path:path}", _unknown)
    app.mount("/", agents)  # last: whatever is not ours is the Agent Server API's
    describe_both(agents, app)
