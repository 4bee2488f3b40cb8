"""The cache where it works: in the pipeline, with everybody asking at once."""

from __future__ import annotations

import asyncio

import pytest

from codelab.core.settings_llm import ResponseCacheSettings
from codelab.llm.cache.cache import ResponseCache
from codelab.llm.chat import DIRECT, Controls
from codelab.llm.errors import NotCached, ServerFailed
from tests.llm.cache.support import Clock, memory, settle
from tests.llm.gateway.doubles import SAID, House, Scripted, request, text


class Place:
    """A gateway with a real cache."""

    def __init__(self, said=SAID, **settings):
        self.clock = Clock()
        self.cache = ResponseCache(memory(self.clock), ResponseCacheSettings(**settings), clock=self.clock)
        self.house = House(cache=self.cache, attempts=Scripted(said))
        self.gateway = self.house.gateway

    async def ask(self, controls=DIRECT, **body):
        return await text(self.gateway, request(controls=controls, **{"temperature": 0, **body}))

    @property
    def asked(self) -> int:
        return len(self.house.attempts.asked)

    @property
    def rows(self) -> list[str]:
        return [outcome.cache for _, outcome in self.house.ledger.rows]


async def test_what_was_asked_once_is_not_asked_again_streamed_or_not():
    it = Place()
    for stream in (True, True, False, True):
        assert await it.ask(stream=stream) == "one two"
    assert it.asked == 1
    assert it.rows == ["miss", "hit", "hit", "hit"]
    assert [outcome.cost for _, outcome in it.house.ledger.rows] == [13_000, 0, 0, 0]
    assert len({outcome.cache_key for _, outcome in it.house.ledger.rows}) == 1


async def test_a_crowd_that_asks_for_the_same_is_one_request_and_one_bill():
    gate = asyncio.Event()
    it = Place([SAID[0], gate, *SAID[1:]])
    crowd = [asyncio.create_task(it.ask(stream=True)) for _ in range(50)]
    await settle()
    gate.set()
    assert await asyncio.gather(*crowd) == ["one two"] * 50
    assert it.asked == 1
    assert sorted(it.rows) == ["miss"] + ["shared"] * 49
    assert sum(outcome.cost for _, outcome in it.house.ledger.rows) == 13_000
    assert it.house.attempts.closed == 1


async def test_who_asked_first_may_leave_and_the_answer_is_paid_and_kept():
    gate = asyncio.Event()
    it = Place([SAID[0], gate, *SAID[1:]])
    leader, follower = (asyncio.create_task(it.ask(stream=True)) for _ in range(2))
    await settle()
    leader.cancel()
    await asyncio.wait([leader])
    gate.set()
    assert await follower == "one two"
    assert it.house.budgets.settled == [13_000]
    assert await it.ask(stream=True) == "one two"
    assert it.asked == 1


async def test_nobody_who_waits_no_upstream():
    it = Place([SAID[0], asyncio.Event()])
    alone = asyncio.create_task(it.ask(stream=True))
    await settle()
    alone.cancel()
    await asyncio.wait([alone])
    await settle()
    assert it.house.attempts.closed == 1
    assert [outcome.error for _, outcome in it.house.ledger.rows] == ["cancelled"]
    assert it.cache.figures().entries == 0


async def test_an_old_answer_is_given_and_asked_for_anew_once():
    it = Place(ttl_s=100, renew_after=0.5)
    await it.ask()
    it.clock.now += 60
    assert await asyncio.gather(*(it.ask() for _ in range(5))) == ["one two"] * 5
    await settle()
    assert it.asked == 2
    await it.ask()
    assert it.rows.count("stale") == 5
    assert it.rows[-1] == "hit"
    await it.gateway.close()


async def test_where_the_model_fails_an_answer_that_has_ended_is_given():
    it = Place(ttl_s=100, stale_s=1000)
    await it.ask()
    it.clock.now += 500
    it.house.attempts.said = [ServerFailed("down")]
    assert await it.ask() == "one two"
    last = it.house.ledger.rows[-1][1]
    assert (last.cache, last.degraded, last.cost) == ("stale", "stale", 0)
    with pytest.raises(ServerFailed):
        await it.ask(seed=1)


async def test_controls_are_obeyed():
    it = Place()
    with pytest.raises(NotCached):
        await it.ask(Controls(cache="only"))
    await it.ask()
    await it.ask(Controls(cache="only"))
    await it.ask(Controls(cache="refresh"))
    await it.ask(Controls(cache="off"))
    await it.ask(Controls(cache="on"), temperature=1)
    await it.ask(temperature=1)
    assert it.rows == ["bypass", "miss", "hit", "miss", "bypass", "miss", "bypass"]
