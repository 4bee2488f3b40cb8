"""What an application of oauth mode has besides: the authorization server, the pages of sign-in, administration."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from ..auth.compose import open_identity
from ..auth.door import OAuthAuth
from ..auth.seams import Authenticator
from ..core.settings import Settings
from ..store.engine import Database
from .account import account
from .rest import clients


def identity_routers() -> list[APIRouter]:
    """The routes, for an application whose authenticator is an `OAuthAuth`."""
    api = APIRouter(prefix="/api/v1")
    for part in (clients,):
        api.include_router(part.router)
    return [api, account.router]


@asynccontextmanager
async def at_the_door(app: FastAPI, auth: Authenticator, settings: Settings, database: Database) -> AsyncIterator[None]:
    """Open identity for an application's life and begin to let people in; nothing where people sign in elsewhere.

    Raises:
        ConfigError: The settings do not allow a start.
    """
    if not isinstance(auth, OAuthAuth):
        app.state.identity = None
        yield
        return
    async with open_identity(settings, database) as identity:
        app.state.identity = identity
        auth.open(identity.checks)
        yield
