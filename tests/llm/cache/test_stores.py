"""One contract for every store; then what each does when it is harmed."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator

import pytest
import redis

from codelab.core.errors import Unavailable
from codelab.core.settings_llm import ResponseCacheSettings
from codelab.llm.cache.build import FILE, build_cache
from codelab.llm.cache.keyfilter import KeyFilter
from codelab.llm.cache.keys import digest
from codelab.llm.cache.sqlite_store import SqliteStore
from codelab.store.redis_link import connect
from tests.llm.cache.support import MODEL, SAID, Clock, ask, batches, memory, outcome
from tests.support.redis_server import RedisServer

KEYS = [digest("t", [number]) for number in range(1000)]
LIVES_S = 1000.0


def on_disk(folder, *, clock=None, memory_bytes=1_000_000, disk_bytes=10_000_000) -> SqliteStore:
    clock = clock or Clock()
    near = memory(clock, max_bytes=memory_bytes)
    return SqliteStore(near, folder / FILE, max_bytes=disk_bytes, lives_s=LIVES_S, clock=clock)


def in_redis(url):
    from codelab.llm.cache.redis_store import RedisStore  # noqa: PLC0415 - as the product: where there is one

    return RedisStore(connect(url), lives_s=LIVES_S)


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request, tmp_path) -> AsyncIterator:
    if request.param == "redis":
        made = in_redis(request.getfixturevalue("redis_url"))
    else:
        made = memory() if request.param == "memory" else on_disk(tmp_path)
    await seen(made, KEYS[0])  # opens it
    yield made
    await made.close()


async def seen(store, *keys, tags=()):
    values, _ = await store.get(keys, tags)
    return values[0] if len(keys) == 1 else values


async def until(check, wanted):
    """Wait until something is so: stores write soon, not at once."""
    for _ in range(200):
        if await check() == wanted:
            return
        await asyncio.sleep(0.01)
    assert await check() == wanted


async def put(store, key, value, lives_s=100.0):
    for _ in range(100):  # Redis is not there from the first moment on
        store.put(key, value, lives_s=lives_s)
        if await seen(store, key) == value:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("not kept")


async def test_what_was_put_is_found(store):
    await put(store, KEYS[1], b"one")
    await put(store, KEYS[2], b"\x00" * 5000)
    assert await seen(store, KEYS[0], KEYS[1], KEYS[2]) == [None, b"one", b"\x00" * 5000]


async def test_what_is_put_again_is_replaced(store):
    await put(store, KEYS[1], b"one")
    await put(store, KEYS[1], b"two")
    assert await seen(store, KEYS[1]) == b"two"


async def test_what_is_dropped_is_gone(store):
    await put(store, KEYS[1], b"one")
    assert await store.drop(KEYS[1])
    assert await seen(store, KEYS[1]) is None
    assert not await store.drop(KEYS[1])


async def test_what_has_no_life_is_not_kept(store):
    store.put(KEYS[1], b"one", lives_s=0)
    await put(store, KEYS[2], b"two")
    assert await seen(store, KEYS[1]) is None


async def test_a_bump_changes_the_stamp_of_its_tag_each_time_and_no_other(store):
    stamps = [(await store.get([], ("a", "b")))[1]]
    for _ in range(3):
        await store.bump(["a"])
        stamps.append((await store.get([], ("a", "b")))[1])
    assert len({stamp[0] for stamp in stamps}) == 4
    assert len({stamp[1] for stamp in stamps}) == 1


async def test_a_stamp_that_is_known_without_waiting_is_the_same(store):
    await store.bump(["a"])
    at_once = store.stamp(("a", "b"))
    assert at_once in {None, (await store.get([], ("a", "b")))[1]}


async def test_its_figures_can_be_told(store):
    await put(store, KEYS[1], b"one")
    assert store.figures().kind in {"memory", "sqlite", "redis"}


# Memory.


async def test_the_least_recently_used_give_way_in_bytes():
    it = memory(max_bytes=5000)
    for key in KEYS[:3]:
        it.put(key, b"x" * 1300, lives_s=10)
    assert it.peek(KEYS[0])
    it.put(KEYS[3], b"x" * 1300, lives_s=10)
    assert [it.peek(key) is not None for key in KEYS[:4]] == [True, False, True, True]
    assert it.figures().bytes <= 5000
    assert it.figures().evictions == 1
    it.put(KEYS[0], b"x" * 6000, lives_s=10)
    assert it.peek(KEYS[0]) is None


def test_memory_forgets_what_has_died():
    clock = Clock()
    it = memory(clock)
    it.put(KEYS[0], b"x", lives_s=10)
    clock.now += 10
    assert it.peek(KEYS[0]) is None
    assert it.figures().bytes == 0


# The file.


async def test_a_restart_keeps_answers_and_generations(tmp_path):
    one = on_disk(tmp_path)
    await one.bump(["a"])
    await put(one, KEYS[1], b"one")
    stamp = one.stamp(("a", "b"))
    await one.close()
    other = on_disk(tmp_path)
    assert other.stamp(("a",)) is None
    assert await other.get([KEYS[1]], ("a", "b")) == ([b"one"], stamp)
    await other.close()


async def test_nobody_else_may_read_the_file(tmp_path):
    it = on_disk(tmp_path)
    await it.bump(["a"])
    for path in tmp_path.glob(f"{FILE}*"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    await it.close()


async def test_what_memory_has_lost_the_file_still_has(tmp_path):
    it = on_disk(tmp_path, memory_bytes=3000)
    await seen(it, KEYS[0])
    for number, key in enumerate(KEYS[:100]):
        it.put(key, b"%d" % number, lives_s=100)
    found = await seen(it, *KEYS[:100])  # some in memory, some waiting to be written
    assert found == [b"%d" % number for number in range(100)]
    await asyncio.sleep(0.2)
    assert await seen(it, *KEYS[:100]) == found
    await it.close()


async def test_the_file_forgets_what_has_died_and_is_bounded(tmp_path):
    clock = Clock()
    it = on_disk(tmp_path, clock=clock, memory_bytes=0, disk_bytes=50_000)
    await seen(it, KEYS[0])
    for key in KEYS[:100]:
        it.put(key, b"x" * 1000, lives_s=100)
    await it.close()
    it = on_disk(tmp_path, clock=clock, memory_bytes=0, disk_bytes=50_000)
    found = await seen(it, *KEYS[:100])
    assert found[-1] is not None  # the oldest give way
    assert found[0] is None
    assert sum(value is not None for value in found) <= 50
    clock.now += 101
    assert await seen(it, *KEYS[:100]) == [None] * 100
    it.put(KEYS[200], b"x", lives_s=100)
    await it.close()
    it = on_disk(tmp_path, clock=clock)
    await seen(it, KEYS[0])
    assert (it.figures().entries, it.figures().bytes) == (1, 1)
    await it.close()


async def test_another_process_sees_what_was_bumped(tmp_path):
    clock = Clock()
    one, other = on_disk(tmp_path, clock=clock), on_disk(tmp_path, clock=clock)
    await seen(one, KEYS[0], KEYS[1], tags=("a",))
    _, before = await other.get([], ("a",))
    await one.bump(["a"])

    async def stamped():
        clock.now += 2
        return (await other.get([], ("a",)))[1] == one.stamp(("a",)) != before

    await until(stamped, wanted=True)
    await one.close()
    await other.close()


@pytest.mark.parametrize("content", [b"this is no database, it is text" * 50, b""], ids=["garbage", "empty"])
async def test_a_file_that_is_no_database_is_replaced(tmp_path, content):
    (tmp_path / FILE).write_bytes(content)
    it = on_disk(tmp_path)
    await put(it, KEYS[1], b"one")
    await it.close()
    it = on_disk(tmp_path)
    assert await seen(it, KEYS[1]) == b"one"
    await it.close()


async def test_where_no_file_can_be_had_memory_alone_goes_on(tmp_path):
    (tmp_path / "a file").write_text("in the way")
    it = on_disk(tmp_path / "a file")
    await put(it, KEYS[1], b"one")
    await it.bump(["a"])
    assert await it.drop(KEYS[1])
    assert it.figures().kind == "memory"
    await it.close()


async def test_who_leaves_while_the_file_is_read_hurts_nobody(tmp_path):
    it = on_disk(tmp_path)
    leaving, staying = (asyncio.create_task(it.get([KEYS[1]], ("a",))) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying == ([None], ("",))
    await it.close()


def test_the_filter_forgets_nothing_and_is_seldom_wrong():
    it = KeyFilter(room=1000)
    for key in KEYS:
        it.add(key)
    assert all(key in it for key in KEYS)
    assert not it.is_full
    assert not KeyFilter(KEYS, room=10).is_full
    strangers = [digest("t", ["stranger", number]) for number in range(2000)]
    assert sum(key in it for key in strangers) < 100


async def test_a_filter_that_is_full_of_what_is_gone_is_made_anew(tmp_path):
    clock = Clock()
    it = on_disk(tmp_path, clock=clock, memory_bytes=0)
    await seen(it, KEYS[0])
    it._filter = KeyFilter(room=20)
    for key in KEYS[:20]:
        it.put(key, b"x", lives_s=10)
    await asyncio.sleep(0.15)
    clock.now += 11
    it.put(KEYS[100], b"y", lives_s=10)
    await asyncio.sleep(0.15)
    it.put(KEYS[101], b"z", lives_s=10)

    async def refilled():
        return KEYS[100] in it._filter and KEYS[101] in it._filter and KEYS[0] not in it._filter

    await until(refilled, wanted=True)
    assert await seen(it, KEYS[100], KEYS[101], KEYS[0]) == [b"y", b"z", None]
    await it.close()


# Redis.


async def test_redis_is_shared_generations_included(redis_url):
    one, other = in_redis(redis_url), in_redis(redis_url)
    await put(one, KEYS[1], b"one")
    assert await seen(other, KEYS[1]) == b"one"
    before = await other.get([], ("a",))
    await one.bump(["a"])
    assert await other.get([], ("a",)) != before
    with redis.Redis.from_url(redis_url) as plain:
        lives = [plain.ttl(key) for key in plain.keys("codelab:llm:*")]
    assert lives
    assert all(0 < left <= LIVES_S for left in lives)
    await one.close()
    await other.close()


async def test_without_redis_there_is_no_answer_and_no_error_and_it_comes_back():
    server = RedisServer()
    clock = Clock()
    from codelab.llm.cache.redis_store import RedisStore  # noqa: PLC0415

    it = RedisStore(connect(server.url), lives_s=LIVES_S, clock=clock)
    try:
        await put(it, KEYS[1], b"one")
        server.kill()
        assert await it.get([KEYS[1]], ("a",)) == ([None], None)
        with pytest.raises(Unavailable):  # an administrator must know that nothing was forgotten
            await it.bump(["a"])
        with pytest.raises(Unavailable):
            await it.drop(KEYS[1])
        server.start()
        assert await it.get([KEYS[1]], ("a",)) == ([None], None)  # nobody asks for a while
        clock.now += 2
        assert (await it.get([KEYS[1]], ("a",)))[1] == ("",)
        await put(it, KEYS[1], b"two")
    finally:
        await it.close()
        server.close()


# The choice, and the whole.


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
async def test_the_whole_cache_on_each_store(kind, tmp_path, request):
    redis_url = request.getfixturevalue("redis_url") if kind == "redis" else None
    data_dir = None if kind == "memory" else tmp_path
    settings = ResponseCacheSettings()
    one = build_cache(settings=settings, data_dir=data_dir, redis_url=redis_url)
    assert one.answers.figures().kind in {kind, "memory"}

    async def told():
        return getattr(await one.answers.find(one.answers.plan(ask(stream=True), MODEL)), "batches", None)

    for _ in range(100):
        plan = one.answers.plan(ask(stream=True), MODEL)
        seat = one.answers.join(plan, _asked)
        got = [batch async for batch in seat.batches()]
        one.answers.keep(plan, got, outcome())
        if await told() == SAID:
            break
        await asyncio.sleep(0.01)
    assert await told() == SAID
    await one.admin.forget("default")
    assert await told() is None
    await one.close()


async def _asked():
    for batch in batches():
        yield batch


def test_nothing_is_opened_before_it_is_used(tmp_path):
    build_cache(settings=ResponseCacheSettings(), data_dir=tmp_path)
    build_cache(settings=ResponseCacheSettings(), redis_url="redis://127.0.0.1:1/0")
    assert not (tmp_path / FILE).exists()
