"""An authorization server with everything but the pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

import pytest

from codelab.auth.clients.service import Clients
from codelab.auth.users.lockout import Attempts
from codelab.core.settings_auth import AuthSettings, LockoutSettings
from codelab.store.engine import Database
from tests.support.identity import World, open_world

PARTS = ("token", "endpoints", "discovery", "register")
SETTINGS = AuthSettings(mode="oauth", registration_token="let me in")


@asynccontextmanager
async def serving(url: str) -> AsyncIterator[World]:
    database = Database(url)
    routers = [import_module(f"codelab.server.oauth.{part}").router for part in PARTS]
    try:
        async with open_world(database, *routers, settings=SETTINGS) as world:
            identity = world.identity
            identity.attempts = Attempts(LockoutSettings(), clock=world.time.seconds)
            identity.clients = Clients(database, revocations=identity.revocations, audit=identity.audit, now=world.time)
            yield world
    finally:
        await database.close()


@pytest.fixture
async def world(sqlite_url: str):
    async with serving(sqlite_url) as world:
        yield world


@pytest.fixture
async def both(database_url: str):
    """The same on SQLite and on PostgreSQL, for races and SQL."""
    async with serving(database_url) as world:
        yield world


@pytest.fixture
async def robot(world: World) -> tuple[str, str]:
    """Id and secret of a service account that may also ask for tokens of service A."""
    await world.client(
        "robot",
        secret="cl_cs_robot",
        grant_types=["client_credentials"],
        redirect_uris=[],
        scopes=["threads:read", "runs:read", "openid"],
        audiences=["https://a.example.org"],
    )
    return "robot", "cl_cs_robot"
