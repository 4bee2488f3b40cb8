"""Transactions under cancellation, and the database in memory."""

import asyncio

import pytest
from sqlalchemy import select, text

from codelab.store.engine import Database
from codelab.store.migrate import prepare
from codelab.store.models import WorkspaceRow

ROW = "INSERT INTO workspaces VALUES (:i, 'n', :i, '2026-01-01 00:00:00+00:00', 'o', 't')"


async def _count(database: Database) -> int:
    async with database.read() as session:
        return len((await session.scalars(select(WorkspaceRow))).all())


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def any_database(request: pytest.FixtureRequest):
    url = "sqlite://" if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")
    opened = Database(url)
    await prepare(opened)
    yield opened
    await opened.close()


async def test_a_cancelled_transaction_leaves_nothing_behind(any_database: Database) -> None:
    async def write(*, slowly: bool) -> None:
        async with any_database.transaction() as session:
            await session.execute(text(ROW), {"i": str(slowly)})
            if slowly:
                await asyncio.sleep(30)

    for _ in range(5):
        task = asyncio.create_task(write(slowly=True))
        await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.wait({task})
    assert await _count(any_database) == 0
    await asyncio.wait_for(write(slowly=False), 2)
    assert await _count(any_database) == 1


async def test_cancelled_at_any_moment(any_database: Database) -> None:
    """Wherever the cancellation strikes, the next writer need not wait."""

    async def write(n: int) -> None:
        async with any_database.transaction() as session:
            await session.execute(text(ROW), {"i": str(n)})

    for n in range(30):
        task = asyncio.create_task(write(n))
        await asyncio.sleep(n * 0.0002)
        task.cancel()
        await asyncio.wait({task})
    await asyncio.wait_for(write(99), 2)
    assert await _count(any_database) >= 1
