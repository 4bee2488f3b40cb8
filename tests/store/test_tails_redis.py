"""What goes over Redis: small, short-lived, and nothing that a reader could stumble over."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis

from codelab.store import tails_redis
from codelab.store.engine import Database
from codelab.store.eventlog import EventLog
from codelab.store.live import open_live
from codelab.store.records import Batch, LoggedEvent, NewEvent
from codelab.store.redis_link import QUEUED, Link, Outbox, connect
from codelab.store.tails_redis import LARGEST, RedisTail, decoded, entries
from codelab.store.texts import dump_json
from tests.store.conftest import make_thread

JSON_DATA = st.dictionaries(
    st.text(max_size=5),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    ),
    max_size=3,
)
RECORDS = st.lists(
    st.tuples(st.none() | st.text(max_size=8), st.integers(0, 9), st.text(max_size=8), JSON_DATA, st.integers(0, 3)),
    min_size=1,
    max_size=8,
)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - nothing announces these
            await asyncio.sleep(0.01)


@given(RECORDS, st.integers(1, 10**12))
def test_records_cross_unchanged_and_no_entry_is_large(records: list[tuple[Any, ...]], first: int) -> None:
    made = []
    for seq, (run_id, attempt, kind, data, weight) in enumerate(records, first):
        whole = json.loads(dump_json([run_id, kind, data | {"weight": "x" * (weight * 30_000)}]))
        made.append(LoggedEvent("t", seq, whole[0], attempt, whole[1], whole[2], datetime.now(UTC)))
    crossed: list[LoggedEvent] = []
    told = first - 1
    for entry in entries(Batch(made)):
        body = entry.get("b")
        if body is None:
            assert entry["l"] == told + 1  # a large record stands alone: its neighbours are not held up
        else:
            assert len(str(body)) <= LARGEST + 2
            crossed += decoded("t", str(body).encode()).events
        told = int(entry["l"])
    assert told == made[-1].seq
    assert crossed == [event for event in made if event in crossed]
    assert {event.seq for event in made} - {event.seq for event in crossed} <= {
        event.seq for event in made if len(event.data["weight"]) > 60_000
    }


@pytest.fixture
async def two(postgres_url: str, redis_url: str) -> AsyncIterator[tuple[EventLog, EventLog]]:
    async with AsyncExitStack() as stack:
        database = Database(postgres_url)
        stack.push_async_callback(database.close)
        lives = [await stack.enter_async_context(open_live(redis_url)) for _ in range(2)]
        logs = [EventLog(database, tail=live.tail, poll_s=60) for live in lives]
        await until(lambda: not any(log.live.lagging for log in logs))
        yield logs[0], logs[1]


async def test_streams_stay_short_and_expire(two: tuple[EventLog, EventLog], redis_url: str) -> None:
    log, _ = two
    thread_id = await make_thread(log.database)
    for _ in range(600):
        await log.append(thread_id, [NewEvent("custom")])
    await log.append(thread_id, [NewEvent("custom", {"text": "x" * 70_000})])
    async with Redis.from_url(redis_url) as client:
        (key,) = [key async for key in client.scan_iter("codelab:log:*")]
        assert key.decode() == f"codelab:log:{thread_id}"
        while not (newest := await client.xrevrange(key, count=1)) or newest[0][1][b"l"] != b"601":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert b"b" not in newest[0][1]
        assert await client.xlen(key) <= tails_redis.LENGTH + 100
        assert 0 < await client.ttl(key) <= tails_redis.LIVES_S


async def test_one_connection_listens_for_all_and_a_thread_that_is_left_is_forgotten(
    two: tuple[EventLog, EventLog],
) -> None:
    reader, writer = two
    threads = [await make_thread(reader.database) for _ in range(30)]
    tails = [reader.batches(thread_id) for thread_id in threads]
    reading = [asyncio.create_task(anext(tail)) for tail in tails]
    tail = reader.live
    assert isinstance(tail, RedisTail)
    await until(lambda: len(tail._read) == 31)
    for thread_id in threads:
        await writer.append(thread_id, [NewEvent("custom")])
    async with asyncio.timeout(5):
        assert [len(await one) for one in reading] == [1] * 30
    for one in tails:
        await one.aclose()
    extra = reader.batches(threads[0])
    waiting = asyncio.create_task(anext(extra))
    await waiting
    await until(lambda: len(tail._read) == 2)
    await extra.aclose()


AT = "2026-01-01T00:00:00+00:00"
HOLE = json.dumps([[2, None, 1, "custom", AT, {}], [4, None, 1, "custom", AT, {}]])
STRANGE = json.dumps([[2, None, 1, "attempt_superseded", AT, []]])
BODIES = ["no json", "[[1]]", "[]", "[1]", "{}", HOLE, STRANGE]


@pytest.mark.parametrize("entry", [{"o": "x"}, {"l": "much"}, *({"b": body} for body in BODIES)])
async def test_what_another_version_wrote_is_passed_over(
    two: tuple[EventLog, EventLog], redis_url: str, entry: dict[str, str]
) -> None:
    reader, writer = two
    thread_id = await make_thread(reader.database)
    await writer.append(thread_id, [NewEvent("custom")])
    tail = reader.tail(thread_id)
    assert (await anext(tail)).seq == 1
    async with Redis.from_url(redis_url) as client:
        await client.xadd(f"codelab:log:{thread_id}", entry)
    await writer.append(thread_id, [NewEvent("custom")])
    assert (await asyncio.wait_for(anext(tail), 5)).seq == 2
    await tail.aclose()


async def test_an_outbox_keeps_the_newest_and_nothing_while_redis_is_down(redis_url: str) -> None:
    client, link = connect(redis_url), Link()
    outbox = Outbox(client, link)
    outbox.put(lambda pipe: pipe.set("lost", 1))
    outbox.start()
    await until(lambda: outbox.is_open)
    for n in range(QUEUED + 100):
        outbox.put(lambda pipe, n=n: pipe.rpush("kept", n))
    assert len(outbox._queue) == QUEUED
    await outbox.close()
    assert await client.lrange("kept", 0, -1) == [str(n).encode() for n in range(100, QUEUED + 100)]
    assert not await client.exists("lost")
    await client.aclose()
