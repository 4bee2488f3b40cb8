"""A database, and what two processes see of it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from codelab.store.engine import Database
from codelab.store.migrate import prepare


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """The same, as another process opens it."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def memory() -> AsyncIterator[Database]:
    opened = Database("sqlite://")
    await prepare(opened)
    yield opened
    await opened.close()
