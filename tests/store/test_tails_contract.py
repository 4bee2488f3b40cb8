"""One contract for every tail: in memory on both databases, and over a real Redis between two logs on PostgreSQL."""

import asyncio
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, event, update
from structlog.testing import capture_logs

from codelab.core.errors import NotFound, Trimmed
from codelab.store import tails
from codelab.store.engine import Database
from codelab.store.eventlog import EventLog
from codelab.store.live import open_live
from codelab.store.models import ThreadRow
from codelab.store.records import LoggedEvent, NewEvent
from codelab.store.replay import PAGE
from tests.store.conftest import make_thread
from tests.support.redis_server import RedisServer

WRITER = """
import asyncio, sys
from codelab.store.engine import Database
from codelab.store.eventlog import EventLog
from codelab.store.live import open_live
from codelab.store.records import NewEvent

async def main(database_url, redis_url, thread_id):
    database = Database(database_url)
    async with open_live(redis_url or None) as live:
        log = EventLog(database, tail=live.tail)
        for n in range(20):
            await log.append(thread_id, [NewEvent("custom", {"n": n})] * 5, run_id="theirs")
            await asyncio.sleep(0.01)
        await log.append(thread_id, [NewEvent("run.finished", {})], run_id="theirs")
    await database.close()

asyncio.run(main(*sys.argv[1:]))
"""


@dataclass
class Logs:
    """Two logs on one database, which stand for two processes."""

    database: Database
    here: EventLog
    there: EventLog
    database_url: str
    redis_url: str | None

    @property
    def both(self) -> tuple[EventLog, EventLog]:
        return self.here, self.there


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - nothing announces these
            await asyncio.sleep(0.01)


async def until_live(*logs: EventLog) -> None:
    await until(lambda: not any(log.live.lagging for log in logs))


@pytest.fixture(params=["memory-sqlite", "memory-postgres", "redis-postgres"])
async def logs(request: pytest.FixtureRequest) -> AsyncIterator[Logs]:
    kind, _, backend = request.param.partition("-")
    database_url = request.getfixturevalue(f"{backend}_url")
    redis_url = request.getfixturevalue("redis_url") if kind == "redis" else None
    # Over Redis nothing may depend on the poll; without it the poll is what crosses processes.
    poll_s = 60 if redis_url else 0.03
    async with AsyncExitStack() as stack:
        database = Database(database_url)
        stack.push_async_callback(database.close)
        made = []
        for _ in range(2):
            live = await stack.enter_async_context(open_live(redis_url))
            made.append(EventLog(database, tail=live.tail, poll_s=poll_s))
        await until_live(*made)
        yield Logs(database, *made, database_url, redis_url)


async def collect(log: EventLog, thread_id: str, after: int | None, last: int) -> list[LoggedEvent]:
    """Tail until a record has come."""
    seen: list[LoggedEvent] = []
    if after is not None and after >= last:
        return seen
    async with asyncio.timeout(20), aclosing(log.tail(thread_id, after)) as tail:
        async for record in tail:
            seen.append(record)
            if record.seq >= last:
                break
    return seen


APPENDS = st.lists(
    st.tuples(st.booleans(), st.integers(1, 4), st.sampled_from([0, 50, 40_000])), min_size=1, max_size=6
)


@given(appends=APPENDS, start=st.integers(0, 6))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_tailing_from_k_gives_the_suffix(logs: Logs, appends: list[tuple[bool, int, int]], start: int) -> None:
    thread_id = await make_thread(logs.database)
    total = sum(count for _, count, _ in appends)
    live = [asyncio.create_task(collect(log, thread_id, k, total)) for log in logs.both for k in (0, start)]
    written: list[LoggedEvent] = []
    for n, (there, count, size) in enumerate(appends):
        log = logs.there if there else logs.here
        written += await log.append(thread_id, [NewEvent("custom", {"n": n, "text": "ж" * size})] * count)
    for task, k in zip(live, (0, start, 0, start), strict=True):
        assert await task == written[k:]
    for k in range(total + 1):
        assert await logs.here.read(thread_id, k) == written[k:]
        assert await collect(logs.there, thread_id, k, total) == written[k:]


async def test_concurrent_appenders_neither_tear_nor_reorder(logs: Logs) -> None:
    thread_id, batches = await make_thread(logs.database), 40
    reading = [asyncio.create_task(collect(log, thread_id, 0, batches * 3)) for log in logs.both for _ in range(3)]

    async def append(n: int) -> None:
        await asyncio.sleep(random.random() / 20)  # noqa: S311
        await random.choice(logs.both).append(thread_id, [NewEvent("custom", {"n": n, "i": i}) for i in range(3)])  # noqa: S311

    await asyncio.gather(*(append(n) for n in range(batches)))
    for task in reading:
        seen = await task
        assert [record.seq for record in seen] == list(range(1, batches * 3 + 1))
        for first in range(0, batches * 3, 3):
            assert [record.data["i"] for record in seen[first : first + 3]] == [0, 1, 2]
            assert len({record.data["n"] for record in seen[first : first + 3]}) == 1


async def test_another_process_is_heard(logs: Logs) -> None:
    thread_id = await make_thread(logs.database)
    await logs.here.append(thread_id, [NewEvent("custom")], run_id="ours")
    tail = logs.here.tail(thread_id, run_id="theirs")
    argv = [sys.executable, "-c", WRITER, logs.database_url, logs.redis_url or "", thread_id]
    reading = asyncio.create_task(_all(tail))
    process = await asyncio.to_thread(subprocess.run, argv, check=True, capture_output=True, timeout=60)
    assert process.returncode == 0
    seen = await asyncio.wait_for(reading, 10)
    assert [record.seq for record in seen] == list(range(2, 103))
    assert [record.data.get("n") for record in seen] == [n for n in range(20) for _ in range(5)] + [None]


async def _all(tail: AsyncIterator[LoggedEvent]) -> list[LoggedEvent]:
    return [record async for record in tail]


async def test_a_reader_that_falls_behind_costs_no_more_and_misses_nothing(logs: Logs) -> None:
    thread_id = await make_thread(logs.database)
    await logs.here.append(thread_id, [NewEvent("custom")])
    async with aclosing(logs.here.batches(thread_id)) as slow:
        seen = [record.seq for record in await anext(slow)]
        total = tails.BUFFERED + 700
        for writer, count in ((logs.here, tails.BUFFERED), (logs.there, 300), (logs.here, 399)):
            for start in range(0, count, 100):
                await writer.append(thread_id, [NewEvent("custom", {"n": start})] * min(100, count - start))
        (subscription,) = logs.here.live.readers.threads[thread_id]
        assert sum(len(batch.events) for batch in subscription._batches) <= tails.BUFFERED
        async with asyncio.timeout(20):
            async for records in slow:
                seen += [record.seq for record in records]
                if seen[-1] == total:
                    break
    assert seen == list(range(1, total + 1))
    assert not logs.here.live.readers.threads


async def test_what_is_gone_is_said_to_be_gone(logs: Logs) -> None:
    thread_id = await make_thread(logs.database)
    for n in range(10):
        await logs.here.append(thread_id, [NewEvent("custom", {"n": n})])
    assert await logs.here.trim(thread_id, 4) == 3
    for log in logs.both:
        for k in (0, 1, 2):
            for reading in (log.read(thread_id, k), log.check(thread_id, k), anext(log.tail(thread_id, k))):
                with pytest.raises(Trimmed) as refused:
                    await reading
                assert (refused.value.status, refused.value.code) == (410, "trimmed")
                assert refused.value.extra == {"first_seq": 4}
        for left in (None, 3):
            await log.check(thread_id, left)
            assert [record.seq for record in await log.read(thread_id, left)] == list(range(4, 11))
            assert [record.seq for record in await collect(log, thread_id, left, 10)] == list(range(4, 11))


async def test_a_log_without_records_begins_where_it_ended(logs: Logs) -> None:
    thread_id = await make_thread(logs.database)
    await logs.here.append(thread_id, [NewEvent("custom")] * 3)
    assert await logs.here.trim(thread_id, 99) == 3
    with pytest.raises(Trimmed, match="no longer kept"):
        await anext(logs.here.tail(thread_id))
    reading = asyncio.create_task(collect(logs.here, thread_id, None, 4))
    await asyncio.sleep(0.1)
    await logs.there.append(thread_id, [NewEvent("custom")])
    assert [record.seq for record in await reading] == [4]
    assert await logs.here.read(thread_id, 3) == await logs.there.read(thread_id, None) != []


async def test_a_replay_that_is_overtaken_by_the_trimming_says_so(logs: Logs) -> None:
    thread_id = await make_thread(logs.database)
    for _ in range(3):
        await logs.here.append(thread_id, [NewEvent("custom")] * 400)
    async with aclosing(logs.here.batches(thread_id)) as reading:
        assert (await anext(reading))[-1].seq == PAGE < 800
        assert await logs.there.trim(thread_id, 801) == 800
        with pytest.raises(Trimmed):
            await anext(reading)


async def test_tails_end_with_their_thread(logs: Logs) -> None:
    first, second = await make_thread(logs.database), await make_thread(logs.database)
    log = EventLog(logs.database, poll_s=0.05, tail=logs.here.live)
    reading = [asyncio.create_task(_all(log.tail(thread_id))) for thread_id in (first, second)]
    await log.append(first, [NewEvent("custom")])
    await asyncio.sleep(0.2)
    async with logs.database.transaction() as session:
        await session.execute(delete(ThreadRow).where(ThreadRow.id == first))
        await session.execute(update(ThreadRow).where(ThreadRow.id == second).values(epoch="begun anew"))
    async with asyncio.timeout(5):
        assert [[record.seq for record in await task] for task in reading] == [[1], []]
    with pytest.raises(NotFound):
        await anext(log.tail(first))


async def test_what_is_live_is_what_is_stored(logs: Logs) -> None:
    thread_id = await make_thread(logs.database)
    reading = [asyncio.create_task(collect(log, thread_id, 0, 1)) for log in logs.both]
    await asyncio.sleep(0.1)
    data = {"text": "nul \x00 surrogate \ud800 кириллица", "pair": (1, 2), "number": float("nan"), "map": {1: 2}}
    written = await logs.here.append(thread_id, [NewEvent("custom", data)], run_id="r", attempt=3)
    data["text"] = "changed later"
    for seen in [*[await task for task in reading], await logs.here.read(thread_id)]:
        assert seen == written
    assert written[0].data == {
        "text": "nul \ufffd surrogate \ufffd кириллица",
        "pair": [1, 2],
        "number": None,
        "map": {"1": 2},
    }


async def test_readers_share_one_object_per_record(logs: Logs) -> None:
    thread_id = await make_thread(logs.database)
    reading = [asyncio.create_task(collect(logs.there, thread_id, 0, 2)) for _ in range(5)]
    await asyncio.sleep(0.1)
    await logs.here.append(thread_id, [NewEvent("custom")])
    await until(lambda: all(one.told for one in logs.there.live.readers.threads[thread_id]))
    await asyncio.sleep(0.1)
    await logs.there.append(thread_id, [NewEvent("custom")])
    seen = [await task for task in reading]
    assert len({id(records[1]) for records in seen}) == 1


async def test_quiet_tails_cost_one_query_and_one_task(database: Database) -> None:
    log = EventLog(database, poll_s=0.1)
    threads = [await make_thread(database) for _ in range(40)]
    before = len(asyncio.all_tasks())
    reading = [asyncio.create_task(_all(log.tail(thread_id))) for thread_id in threads]
    await asyncio.sleep(0.5)
    assert len(asyncio.all_tasks()) <= before + len(reading) + 5  # a pool may be busy; not one per tail
    queries: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *args: queries.append(args[2]))
    await asyncio.sleep(1)
    assert 1 <= len(queries) <= 11  # 40 tails, ten looks a second, one query each
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    await asyncio.sleep(0.2)
    await until(lambda: len(asyncio.all_tasks()) <= before + 1)
    assert not log.live.readers.threads


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


async def test_redis_may_die_and_come_back(postgres_url: str, redis_server: RedisServer) -> None:
    database = Database(postgres_url)
    thread_id = await make_thread(database)
    async with open_live(redis_server.url) as one, open_live(redis_server.url) as two:
        reader, writer = EventLog(database, tail=one.tail, poll_s=60), EventLog(database, tail=two.tail, poll_s=60)
        await until_live(reader, writer)
        reading = asyncio.create_task(_all(reader.tail(thread_id, run_id="r")))
        with capture_logs() as told:
            for n in range(120):
                if n == 40:
                    redis_server.kill()
                await writer.append(thread_id, [NewEvent("custom", {"n": n})], run_id="r")
                await asyncio.sleep(0.01)
            (subscription,) = reader.live.readers.threads[thread_id]
            await until(lambda: subscription.told == 120)
            redis_server.start()
            await until_live(reader, writer)
        lost = [entry["event"] for entry in told if entry["event"].startswith("redis_")]
        assert lost.count("redis_lost") == 2  # one per process and outage, however much there was to send
        assert lost.count("redis_back") <= 2
        await writer.append(thread_id, [NewEvent("run.finished")], run_id="r")
        seen = await asyncio.wait_for(reading, 5)
        assert [record.seq for record in seen] == list(range(1, 122))
    await database.close()


async def test_a_redis_that_hangs_or_is_absent_delays_no_writer(postgres_url: str, redis_server: RedisServer) -> None:
    database = Database(postgres_url)
    thread_id = await make_thread(database)
    async with open_live(redis_server.url) as one, open_live("redis://127.0.0.1:9/0") as absent:
        log, other = EventLog(database, tail=one.tail), EventLog(database, tail=absent.tail)
        await until_live(log)
        redis_server.process.send_signal(signal.SIGSTOP)
        taken = []
        for _ in range(600):
            began = time.monotonic()
            await log.append(thread_id, [NewEvent("custom")])
            taken.append(time.monotonic() - began)
        assert statistics.median(taken) < 1
        await other.append(thread_id, [NewEvent("custom")])
        assert len(await collect(other, thread_id, 0, 601)) == len(await collect(log, thread_id, 0, 601)) == 601
    await database.close()
