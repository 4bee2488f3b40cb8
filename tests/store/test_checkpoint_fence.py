"""A worker that slept past its lease writes no checkpoint: the lease is proved in the transaction that writes."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

import psycopg
import pytest
from langgraph.checkpoint.base import empty_checkpoint
from sqlalchemy import update

from codelab.store.checkpoints import Checkpoints, open_checkpoints
from codelab.store.checkpoints_batch import Batches
from codelab.store.engine import Database
from codelab.store.lease import Lease, LostLease
from codelab.store.models import RunRow

Write = Callable[[Any, str], Awaitable[Any]]


def at(thread_id: str, **more: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **more}}


async def put(saver: Any, thread_id: str) -> str:
    checkpoint = {**empty_checkpoint(), "channel_values": {"a": [1]}, "channel_versions": {"a": "1"}}
    stored = await saver.aput(at(thread_id), checkpoint, {"step": 0}, {"a": "1"})
    return str(stored["configurable"]["checkpoint_id"])


async def put_writes(saver: Any, thread_id: str) -> None:
    await saver.aput_writes(at(thread_id, checkpoint_id="c"), [("a", [1])], "task")


TABLES = {"sqlite": ("checkpoints", "writes"), "postgresql": ("checkpoints", "checkpoint_blobs", "checkpoint_writes")}


async def rows(database: Database) -> int:
    async with database.read() as session:
        connection = await session.connection()
        tables = TABLES[database.url.get_backend_name()]
        counts = [f"SELECT count(*) FROM {table}" for table in tables]  # noqa: S608 - our names
        return sum([(await connection.exec_driver_sql(count)).scalar_one() for count in counts])


async def take_over(database: Database, run_id: str) -> None:
    async with database.transaction() as session:
        await session.execute(update(RunRow).where(RunRow.id == run_id).values(attempt=2, owner="other"))


@pytest.fixture
async def checkpoints(database: Database) -> AsyncIterator[Checkpoints]:
    async with open_checkpoints(database) as opened:
        yield opened


@pytest.fixture
def lease(run_id: str) -> Lease:
    return Lease(run_id, 1, "me")


@asynccontextmanager
async def unfinished(database: Database, statement: str, *values: str) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Another program's transaction, which did something and is open until it is told to commit."""
    if database.is_sqlite:
        with closing(sqlite3.connect(str(database.file), isolation_level=None)) as raw:
            raw.execute("BEGIN IMMEDIATE")
            raw.execute(statement, values)

            async def finish() -> None:
                raw.execute("COMMIT")

            yield finish
    else:
        conninfo = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        async with await psycopg.AsyncConnection.connect(conninfo) as other:
            await other.execute(statement.replace("?", "%s").encode(), values)
            yield other.commit


@pytest.mark.parametrize("write", [put, put_writes])
@pytest.mark.parametrize(
    "lost", [{"attempt": 2}, {"owner": "other"}, {"status": "success"}], ids=["attempt", "owner", "status"]
)
async def test_a_lease_lost_between_two_writes(
    database: Database, checkpoints: Checkpoints, lease: Lease, write: Write, lost: dict[str, Any]
) -> None:
    saver = checkpoints.saver(lease=lease)
    await write(saver, "first")
    before = await rows(database)
    async with database.transaction() as session:
        await session.execute(update(RunRow).where(RunRow.id == lease.run_id).values(**lost))
    with pytest.raises(LostLease):
        await write(saver, "second")
    assert await rows(database) == before > 0


@pytest.mark.parametrize(
    "change",
    [
        lambda saver: saver.adelete_for_runs(["r"]),
        lambda saver: saver.drop_runs("t", ["r"]),
        lambda saver: saver.acopy_thread("t", "copy"),
        lambda saver: saver.aprune(["t"]),
        lambda saver: saver.aprune(["t"], strategy="delete"),
        lambda saver: saver.adelete_thread("t"),
        lambda saver: saver.drop_namespaces("t"),
    ],
)
async def test_nothing_else_is_changed_without_the_lease(
    database: Database, checkpoints: Checkpoints, lease: Lease, change: Callable[[Any], Awaitable[None]]
) -> None:
    for namespace in ("", "", "agent"):
        place = {"configurable": {"thread_id": "t", "checkpoint_ns": namespace}}
        await checkpoints.saver().aput(place, empty_checkpoint(), {"run_id": "r"}, {})
    saver = checkpoints.saver(lease=lease)
    await take_over(database, lease.run_id)
    with pytest.raises(LostLease):
        await change(saver)
    assert await rows(database) == 3
    async with database.transaction() as session:
        await session.execute(update(RunRow).where(RunRow.id == lease.run_id).values(attempt=1, owner="me"))
    await change(saver)
    assert await rows(database) != 3


async def test_a_run_that_was_never_there_writes_nothing(database: Database, checkpoints: Checkpoints) -> None:
    with pytest.raises(LostLease):
        await put(checkpoints.saver(lease=Lease("nobody", 1, "me")), "t")
    assert await rows(database) == 0


async def test_the_runs_own_word_comes_first(checkpoints: Checkpoints, lease: Lease) -> None:
    def lost() -> None:
        raise LostLease("asleep")

    with pytest.raises(LostLease, match="asleep"):
        await put(checkpoints.saver(lost, lease), "t")


async def test_a_refused_write_takes_no_other_with_it(checkpoints: Checkpoints, lease: Lease) -> None:
    stale = Lease(lease.run_id, 7, "me")
    savers = [checkpoints.saver(lease=held) for held in (lease, stale, None, lease, stale)]
    told = await asyncio.gather(*(put(s, f"t{n}") for n, s in enumerate(savers)), return_exceptions=True)
    assert [isinstance(result, LostLease) for result in told] == [False, True, False, False, True]
    for n, result in enumerate(told):
        found = await checkpoints.reader.aget_tuple(at(f"t{n}"))
        assert (found and found.config["configurable"]["checkpoint_id"]) == (
            result if isinstance(result, str) else None
        )


async def test_a_write_waits_for_a_takeover_and_is_refused(
    database: Database, checkpoints: Checkpoints, lease: Lease
) -> None:
    async with unfinished(database, "UPDATE runs SET owner = 'other' WHERE id = ?", lease.run_id) as finish:
        writing = asyncio.create_task(put(checkpoints.saver(lease=lease), "t"))
        await asyncio.sleep(0.1)
        assert not writing.done()
        await finish()
        with pytest.raises(LostLease):
            await writing
    assert await rows(database) == 0


async def test_a_write_waits_for_what_is_no_takeover_and_goes_through(
    database: Database, checkpoints: Checkpoints, lease: Lease
) -> None:
    async with unfinished(database, "UPDATE runs SET priority = 3 WHERE id = ?", lease.run_id) as finish:
        writing = asyncio.create_task(put(checkpoints.saver(lease=lease), "t"))
        await asyncio.sleep(0.1)
        await finish()
        assert await writing


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)  # on SQLite one transaction writes at a time
async def test_others_do_not_wait_for_a_run_that_is_locked(
    database: Database, checkpoints: Checkpoints, lease: Lease
) -> None:
    async with unfinished(database, "UPDATE runs SET owner = 'other' WHERE id = ?", lease.run_id) as finish:
        stuck = asyncio.create_task(put(checkpoints.saver(lease=lease), "t1"))
        async with asyncio.timeout(5):
            await put(checkpoints.saver(), "t2")
        await finish()
        with pytest.raises(LostLease):
            await stuck


@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_takeover_waits_for_a_write_in_progress(
    database: Database, checkpoints: Checkpoints, lease: Lease
) -> None:
    """The write is stuck on a row that somebody else inserts; a takeover meanwhile would let it land afterwards."""
    same = "INSERT INTO checkpoint_blobs VALUES ('t', '', 'a', '1', 'null', null)"
    async with unfinished(database, same) as finish:
        writing = asyncio.create_task(put(checkpoints.saver(lease=lease), "t"))
        await asyncio.sleep(0.1)
        taking = asyncio.create_task(take_over(database, lease.run_id))
        await asyncio.sleep(0.1)
        assert not writing.done()
        assert not taking.done()
        await finish()
        checkpoint_id = await writing
        await taking
    found = await checkpoints.reader.aget_tuple(at("t"))
    assert found is not None
    assert found.config["configurable"]["checkpoint_id"] == checkpoint_id


async def test_a_cancelled_caller_leaves_once_its_write_is_there(checkpoints: Checkpoints) -> None:
    writing = asyncio.create_task(put(checkpoints.saver(), "t"))
    await asyncio.sleep(0)
    writing.cancel()
    await asyncio.wait({writing})
    assert await checkpoints.reader.aget_tuple(at("t")) is not None


async def test_a_write_that_cannot_be_stored_fails_alone(database: Database, checkpoints: Checkpoints) -> None:
    saver = checkpoints.saver()
    wrong = object() if database.is_sqlite else "\0"
    told = await asyncio.gather(
        put(saver, "t1"),
        saver.aput_writes(at("t2", checkpoint_id="c"), [("a", 1)], wrong),
        put(saver, "t3"),
        return_exceptions=True,
    )
    assert [isinstance(result, sqlite3.Error | psycopg.Error) for result in told] == [False, True, False]
    assert await rows(database) == (2 if database.is_sqlite else 4)
    assert await put(saver, "t4")


async def test_writes_to_one_place_at_once_keep_their_order(checkpoints: Checkpoints) -> None:
    saver = checkpoints.saver()
    place = at("t", checkpoint_id=await put(saver, "t"))
    await asyncio.gather(
        *(saver.aput_writes(place, [("a", n)], "plain") for n in range(3)),
        *(saver.aput_writes(place, [("__interrupt__", n)], "special") for n in range(3)),
    )
    found = await checkpoints.reader.aget_tuple(place)
    assert found is not None
    assert found.pending_writes == [("plain", "a", 0), ("special", "__interrupt__", 2)]


@pytest.mark.parametrize("begun", [False, True])
async def test_a_loop_that_ends_leaves_nobody_waiting(begun: bool) -> None:
    """The end of a loop cancels every task, those that commit for others too, some of which never began."""

    async def never(_writes: object) -> list[object]:
        await asyncio.Event().wait()
        return []

    batches = Batches[int](never)
    others = asyncio.all_tasks()
    callers = {asyncio.create_task(batches.add(n)) for n in range(3)}
    for _ in range(5 if begun else 1):
        await asyncio.sleep(0)
    for task in asyncio.all_tasks() - others:
        task.cancel()
    _, left = await asyncio.wait(callers, timeout=5)
    assert not left


async def test_whoever_comes_while_the_work_ends_is_served() -> None:
    async def echo(writes: Sequence[int]) -> Sequence[int]:
        return writes

    batches = Batches[int](echo)

    async def caller(number: int) -> None:
        for n in range(300):
            for _ in range(n * number % 7):  # every step of the work is met by somebody
                await asyncio.sleep(0)
            assert await batches.add(n) == n

    await asyncio.gather(*map(caller, range(8)))
