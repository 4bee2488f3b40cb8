"""Lock-out with Redis: processes count together; without it each counts by itself, and nobody is ever unlimited."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from codelab.auth.users.lockout import PAUSE_S, Attempts, Verdict
from codelab.core.settings_auth import LockoutSettings
from tests.support.identity import Time
from tests.support.tcp_proxy import Proxy

ANN = "ann@example.org"
HOME = "192.0.2.1"


class Fleet:
    """Processes that share a Redis behind a line that can be cut."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.time = Time()
        self.proxy = Proxy(parts.port or 6379)
        there = parts._replace(netloc=f"127.0.0.1:{self.proxy.port}").geturl()
        self.processes = [Attempts(LockoutSettings(attempts=5), there, clock=self.time.seconds) for _ in range(2)]

    async def tries(self, process: int, count: int) -> int:
        """How many of some tries go on."""
        found = [await self.processes[process].take(ANN, HOME) for _ in range(count)]
        return found.count(Verdict.FREE)


@pytest.fixture
async def fleet(redis_url: str):
    fleet = Fleet(redis_url)
    with fleet.proxy:
        yield fleet
        for process in fleet.processes:
            await process.close()


async def test_processes_count_together(fleet):
    assert (await fleet.tries(0, 3), await fleet.tries(1, 10)) == (3, 2)


async def test_success_forgives_everywhere(fleet):
    assert await fleet.tries(0, 4) == 4
    await fleet.processes[0].succeeded(ANN, HOME)
    assert await fleet.tries(1, 10) == 5


@pytest.mark.parametrize("reset", [True, False], ids=["refused", "silent"])
async def test_a_redis_that_is_gone_takes_no_limit_away(fleet, reset):  # attack 27
    assert await fleet.tries(0, 2) == 2
    fleet.proxy.cut(reset=reset)
    assert await fleet.tries(0, 50) == 3, "what this process has seen still counts"
    assert await fleet.tries(1, 50) == 5, "each by itself"
    await fleet.processes[0].succeeded(ANN, HOME)
    assert await fleet.tries(0, 50) == 5


async def test_a_redis_that_is_back_is_asked_again(fleet):
    fleet.proxy.cut(reset=True)
    assert await fleet.tries(0, 50) == 5
    fleet.proxy.mend()
    fleet.time.tick(PAUSE_S + 1)
    assert await fleet.tries(0, 1) == 0, "an outage does not forgive"
    assert await fleet.tries(1, 3) == 3
    fleet.processes.append(fleet.processes.pop(0))
    assert await fleet.processes[0].take(ANN, HOME) is Verdict.FREE


async def test_redis_holds_no_address(redis_url, fleet):
    await fleet.tries(0, 1)
    async with Redis.from_url(redis_url) as redis:
        keys = [key.decode() async for key in redis.scan_iter()]
    assert len(keys) == 3
    assert not [key for key in keys if ANN in key or not key.startswith("codelab:attempts")]
