"""What an application has by its mode: how people sign in, and who is at the door while it lives."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from ..auth.door import OAuthAuth
from ..auth.seams import Authenticator
from ..core.settings import Settings
from ..store.engine import Database


def sign_in_routers(auth: Authenticator) -> Sequence[APIRouter]:
    """The routes of whoever signs people in: this server's accounts, or its one-time link."""
    if isinstance(auth, OAuthAuth):
        from .identity import identity_routers  # noqa: PLC0415 - see there

        return identity_routers()
    from . import local_sign_in  # noqa: PLC0415

    return [local_sign_in.router]


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
    from ..auth.compose import open_identity  # noqa: PLC0415 - as above

    async with open_identity(settings, database) as identity:
        app.state.identity = identity
        auth.open(identity.checks)
        yield
