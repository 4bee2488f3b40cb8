"""Accounts over a SQLite file; `both` runs a test on PostgreSQL, too."""

import pytest

from codelab.store.engine import Database
from tests.support.people import open_people


@pytest.fixture
async def people(sqlite_url: str):
    database = Database(sqlite_url)
    async with open_people(database) as people:
        yield people
    await database.close()


@pytest.fixture
async def both(database_url: str):
    database = Database(database_url)
    async with open_people(database) as people:
        yield people
    await database.close()
