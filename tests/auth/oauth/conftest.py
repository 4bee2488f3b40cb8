"""The authorization server over SQLite; tests of races and of SQL take `both` instead."""

from __future__ import annotations

import pytest

from tests.support.identity import serving


@pytest.fixture
async def world(sqlite_url):
    async with serving(sqlite_url) as world:
        yield world


@pytest.fixture
async def both(database_url):
    """The same on SQLite and on PostgreSQL."""
    async with serving(database_url) as world:
        yield world
