"""Waiting for threads that do not exist yet."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from codelab.core.types import Principal, new_id
from codelab.runtime.protocol import awaited
from codelab.runtime.protocol.awaited import AwaitedThreads
from codelab.runtime.threads.repository import new_thread
from codelab.store.engine import Database

ME, YOU = Principal("me"), Principal("you")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url)
    yield opened
    await opened.close()


async def make(database: Database, owner: Principal, thread_id: str) -> None:
    async with database.transaction() as session:
        session.add(new_thread(owner, thread_id=thread_id))


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    said: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("SELECT threads"):
            said.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield said
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_a_thread_that_exists_is_not_waited_for(database: Database) -> None:
    thread = new_id()
    await make(database, ME, thread)
    async with asyncio.timeout(10):
        await AwaitedThreads(database).of(ME, thread)


async def test_a_thread_is_met_when_it_is_made_elsewhere(database: Database) -> None:
    thread = new_id()
    waiting = asyncio.create_task(AwaitedThreads(database).of(ME, thread))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    await make(database, ME, thread)
    async with asyncio.timeout(10):
        await waiting


async def test_a_thread_that_is_made_here_is_met_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(awaited, "SOON_S", 3600.0)
    here, thread = AwaitedThreads(database), new_id()
    waiting = asyncio.create_task(here.of(ME, thread))
    await asyncio.sleep(0.05)
    await make(database, ME, thread)
    here.told(thread)
    async with asyncio.timeout(10):
        await waiting


async def test_anothers_thread_is_none(database: Database) -> None:
    here, thread = AwaitedThreads(database), new_id()
    await make(database, YOU, thread)
    mine, yours = asyncio.create_task(here.of(ME, thread)), asyncio.create_task(here.of(YOU, thread))
    async with asyncio.timeout(10):
        await yours
    await asyncio.sleep(0.25)
    assert not mine.done()
    mine.cancel()


async def test_a_hundred_who_wait_are_one_query(database: Database) -> None:
    here, threads = AwaitedThreads(database), [new_id() for _ in range(100)]
    with counted(database) as said:
        waiting = [asyncio.create_task(here.of(ME, thread)) for thread in threads]
        await asyncio.sleep(0.05)
        for thread in threads:
            await make(database, ME, thread)
        async with asyncio.timeout(30):
            await asyncio.gather(*waiting)
    assert 2 <= len(said) < 50


async def test_nobody_looks_when_nobody_waits(database: Database) -> None:
    here = AwaitedThreads(database)
    waiting = asyncio.create_task(here.of(ME, new_id()))
    await asyncio.sleep(0.05)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await asyncio.sleep(0.2)
    with counted(database) as said:
        await asyncio.sleep(0.25)
    assert said == []


async def test_a_failed_look_is_told_to_all_and_the_next_one_works(database: Database) -> None:
    here, thread = AwaitedThreads(database), new_id()
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE threads RENAME TO hidden"))
    waiting = [asyncio.create_task(here.of(ME, thread)) for _ in range(2)]
    failures = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(failure, DBAPIError) for failure in failures)
    async with database.transaction() as session:
        await session.execute(text("ALTER TABLE hidden RENAME TO threads"))
    await make(database, ME, thread)
    async with asyncio.timeout(10):
        await here.of(ME, thread)
