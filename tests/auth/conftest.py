"""A database at head, and accounts over one: the test runs on SQLite and on PostgreSQL, `people` on SQLite alone."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from codelab.store.engine import Database
from tests.support.people import open_people


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url)
    yield database
    await database.close()


@pytest.fixture
async def people(sqlite_url: str):
    database = Database(sqlite_url)
    async with open_people(database) as people:
        yield people
    await database.close()


@pytest.fixture
async def both(database: Database):
    async with open_people(database) as people:
        yield people
