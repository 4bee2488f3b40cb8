"""The application that serves models and nothing else: `/v1`, health, and what goes with it. It knows no LangChain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import APIRouter, FastAPI

from ..auth.api_keys.service import ApiKeys, open_api_keys
from ..auth.seams import Authenticator
from ..core.settings import Settings
from ..runtime.llm import ModelGateway, open_gateway
from ..store.engine import Database
from ..store.migrate import open_database
from . import errors, health
from .layers import authenticator, surround
from .modes import at_the_door
from .openai_api.serving import Serving
from .rest import api_keys, budgets, llm_cache, providers, usage
from .version import version


@dataclass(frozen=True, kw_only=True)
class LlmRuntime:
    """What the routes of this application find: the same names as in the whole runtime."""

    database: Database
    llm: ModelGateway
    keys: ApiKeys


@asynccontextmanager
async def open_llm_runtime(settings: Settings) -> AsyncIterator[LlmRuntime]:
    """Open the database, the gateway and the keys.

    Raises:
        ConfigError: The settings do not allow a start, or PostgreSQL is not at head (`codelab db upgrade`).
    """
    async with (
        open_database(settings.database_url) as database,
        open_gateway(settings, database) as llm,
        open_api_keys(database) as keys,
    ):
        yield LlmRuntime(database=database, llm=llm, keys=keys)


def create_llm_app(settings: Settings | None = None, *, auth: Authenticator | None = None) -> FastAPI:
    """Build the ASGI app.

    Args:
        settings: Settings; read from the environment if left out.
        auth: Who may come in, in place of local mode's one user.

    Raises:
        ConfigError: The settings do not allow a start.
    """
    settings = settings or Settings()
    auth = auth or authenticator(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_llm_runtime(settings) as opened,
            at_the_door(app, auth, settings, opened.database),
        ):
            app.state.runtime, app.state.api_keys = opened, opened.keys
            app.state.v1 = Serving(gateway=opened.llm, keys=opened.keys)
            yield

    app = FastAPI(title="CodeLab models", version=version(), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.auth = auth
    errors.install(app)
    api = APIRouter(prefix="/api/v1")
    for part in (usage, budgets, providers, llm_cache, api_keys):
        api.include_router(part.router)
    for router in (health.router, api):
        app.include_router(router)
    surround(app, settings, auth, lambda: app.state.v1)
    return app
