"""The authorization server over SQLite; tests of races and of SQL take `both` instead."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest

from codelab.core.settings_auth import AuthSettings
from codelab.server.oauth import authorize, token
from codelab.store.engine import Database
from tests.support.identity import open_world


@asynccontextmanager
async def serving(url: str, **settings):
    database = Database(url)
    try:
        found = AuthSettings(mode="oauth", **settings)
        async with open_world(database, authorize.router, token.router, settings=found) as world:
            yield world
    finally:
        await database.close()


@pytest.fixture
async def world(sqlite_url):
    async with serving(sqlite_url) as world:
        yield world


@pytest.fixture
async def both(database_url):
    """The same on SQLite and on PostgreSQL."""
    async with serving(database_url) as world:
        yield world
