"""The application that signs people in and issues tokens, and nothing else. It knows no LangChain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from ..auth.api_keys.service import open_api_keys
from ..auth.door import OAuthAuth
from ..auth.issuer import issuer_of
from ..core.errors import ConfigError
from ..core.settings import Settings
from ..store.engine import Database
from ..store.migrate import open_database
from . import errors, health
from .account import error_pages
from .identity import identity_routers
from .layers import surround
from .modes import at_the_door
from .pages import static_files
from .version import version


@dataclass(frozen=True, kw_only=True)
class AuthRuntime:
    """What the routes of this application find: the same name as in the whole runtime."""

    database: Database


def create_auth_app(settings: Settings | None = None) -> FastAPI:
    """Build the ASGI app.

    Args:
        settings: Settings; read from the environment if left out.

    Raises:
        ConfigError: The settings are not those of a server that people sign in at, or do not allow a start.
    """
    settings = settings or Settings()
    if settings.auth.mode != "oauth" or settings.auth.issuer is not None:
        raise ConfigError("A server of the role auth needs AUTH__MODE=oauth, and no AUTH__ISSUER: it is the issuer.")
    auth = OAuthAuth(issuer_of(settings))

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_database(settings.database_url) as database,
            open_api_keys(database) as keys,
            at_the_door(app, auth, settings, database),
        ):
            app.state.runtime, app.state.api_keys = AuthRuntime(database=database), keys
            yield

    app = FastAPI(title="CodeLab sign-in", version=version(), lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.auth = auth
    errors.install(app)
    error_pages.install(app)
    for router in (health.router, *identity_routers()):
        app.include_router(router)
    app.mount("/static", static_files())
    surround(app, settings, auth, None)
    return app
