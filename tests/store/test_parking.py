"""Connections that wait between two transactions: the same one is used again, a doubtful one never."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import bindparam, select, text
from sqlalchemy.exc import DBAPIError

from codelab.store.engine import Database
from codelab.store.models import ThreadRow
from codelab.store.models.base import table_of
from codelab.store.outage import is_outage
from codelab.store.parking import PLACES
from codelab.store.prepared import Direct, prepared

THREADS = table_of(ThreadRow)
NAME = prepared(THREADS.update().where(THREADS.c.id == bindparam("thread")).values(title=bindparam("to")))
TITLE = prepared(select(THREADS.c.title).where(THREADS.c.id == bindparam("thread")))


async def title_of(database: Database, thread_id: str) -> Any:
    async with database.direct(write=False) as session:
        return (await session.execute(TITLE, {"thread": thread_id})).scalar_one()


async def drivers(database: Database, count: int) -> list[Any]:
    """Which connections as many transactions get that are open at the same time."""
    async with asyncio.timeout(10):
        opened = [database.direct(write=False) for _ in range(count)]
        found = [(await each.__aenter__()).driver for each in opened]
        for each in opened:
            await each.__aexit__(None, None, None)
    return found


def shared(some: list[Any], others: list[Any]) -> int:
    return sum(any(one is other for other in others) for one in some)


async def test_the_same_connection_serves_again(database: Database, thread_id: str) -> None:
    async with database.direct() as session:
        await session.execute(NAME, {"thread": thread_id, "to": "one"})
        first = session.driver
    async with database.direct() as session:
        assert session.driver is first
        await session.execute(NAME, {"thread": thread_id, "to": "two"})
    assert await title_of(database, thread_id) == "two"


async def test_what_fails_is_rolled_back_and_not_kept(database: Database, thread_id: str) -> None:
    async def fail(session: Direct) -> None:
        await session.execute(NAME, {"thread": thread_id, "to": "never"})
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        async with database.direct() as session:
            await fail(session)
    assert await title_of(database, thread_id) is None


async def test_who_only_reads_sees_what_others_wrote_since(database: Database, thread_id: str) -> None:
    assert await title_of(database, thread_id) is None
    async with database.transaction() as session:
        (await session.get_one(ThreadRow, thread_id)).title = "named"
    assert await title_of(database, thread_id) == "named"


async def test_no_more_are_kept_than_there_are_places(database: Database) -> None:
    most = await drivers(database, PLACES + 2)
    assert shared(most, await drivers(database, PLACES)) == PLACES


async def test_nobody_gets_one_of_a_database_that_went_away(postgres_url: str) -> None:
    database, beside = Database(postgres_url), Database(postgres_url)
    stale = await drivers(database, PLACES)
    async with beside.transaction() as session:
        end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        await session.execute(text(f"{end} WHERE datname = current_database() AND pid <> pg_backend_pid()"))
    with pytest.raises(DBAPIError) as failed:
        await title_of(database, "any")
    assert is_outage(failed.value)
    assert not shared(stale, await drivers(database, PLACES))  # one failed; the others were let go with it
    await database.close()
    await beside.close()
