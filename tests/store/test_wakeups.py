"""Wake-ups: at once inside a process, soon in the others, and after an outage everybody looks."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from codelab.core.errors import ConfigError
from codelab.store.live import open_live
from codelab.store.wakeups import Wakeups
from tests.support.redis_server import RedisServer


@dataclass
class Heard:
    """What one process was told."""

    looked: int = 0
    stopped: list[str] = field(default_factory=list)

    def listen(self, wakeups: Wakeups) -> None:
        wakeups.on_ready(self._look)
        wakeups.on_cancel(self.stopped.append)

    def _look(self) -> None:
        self.looked += 1


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - nothing announces these
            await asyncio.sleep(0.01)


@pytest.fixture(params=["memory", "redis"])
def url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("redis_url") if request.param == "redis" else None


async def test_a_process_wakes_itself_before_the_call_returns(url: str | None) -> None:
    heard = Heard()
    async with open_live(url) as live:
        heard.listen(live.wakeups)
        live.wakeups.ready("r1")
        live.wakeups.cancel("r1")
        assert (heard.looked, heard.stopped) == (1, ["r1"])


async def test_a_redis_that_is_absent_takes_nothing_from_a_process() -> None:
    await test_a_process_wakes_itself_before_the_call_returns("redis://127.0.0.1:9/0")


async def test_a_url_that_is_none_is_refused_at_the_start() -> None:
    with pytest.raises(ConfigError, match="CODELAB_REDIS__URL"):
        async with open_live("localhost:6379"):
            pass


async def test_other_processes_hear_it_once_and_the_one_that_spoke_not_again(redis_url: str) -> None:
    here, there = Heard(), Heard()
    async with open_live(redis_url) as one, open_live(redis_url) as two:
        here.listen(one.wakeups)
        there.listen(two.wakeups)
        await until(lambda: not one.tail.lagging and here.looked > 0 and there.looked > 0)
        await asyncio.sleep(0.2)  # both have come, and said so to each other
        before = here.looked, there.looked
        one.wakeups.ready("r1")
        one.wakeups.cancel("r2")
        two.wakeups.cancel("r3")
        await until(lambda: len(here.stopped) == len(there.stopped) == 2)
        await asyncio.sleep(0.1)
        assert (here.looked, there.looked) == (before[0] + 1, before[1] + 1)
        assert sorted(here.stopped) == sorted(there.stopped) == ["r2", "r3"]
        assert here.stopped[0] == "r2"


async def test_a_callback_that_fails_does_not_end_the_listening(redis_url: str) -> None:
    heard, faults = Heard(), []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    async with open_live(redis_url) as one, open_live(redis_url) as two:
        await until(lambda: not one.tail.lagging and not two.tail.lagging)
        two.wakeups.on_cancel(lambda run_id: {}[run_id])
        one.wakeups.cancel("r1")
        await until(lambda: bool(faults))
        heard.listen(two.wakeups)
        one.wakeups.ready("r2")
        await until(lambda: heard.looked > 0)
    assert [type(fault) for fault in faults] == [KeyError]


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    yield server
    server.close()


async def test_after_an_outage_everybody_looks_and_hears_again(redis_server: RedisServer) -> None:
    here, there = Heard(), Heard()
    async with open_live(redis_server.url) as one, open_live(redis_server.url) as two:
        here.listen(one.wakeups)
        there.listen(two.wakeups)
        await until(lambda: here.looked > 0 and there.looked > 0 and not one.tail.lagging)
        redis_server.kill()
        await until(lambda: one.tail.lagging and two.tail.lagging)
        one.wakeups.ready("r1")
        before = here.looked, there.looked
        redis_server.start()
        await until(lambda: here.looked > before[0] and there.looked > before[1])
        await until(lambda: not one.tail.lagging and not two.tail.lagging)

        async def heard_again() -> None:
            while "r2" not in there.stopped:
                one.wakeups.cancel("r2")
                await asyncio.sleep(0.1)

        await asyncio.wait_for(heard_again(), 10)
