"""One answer, several readers: whoever comes, leaves or fails, each other one gets all of it."""

from __future__ import annotations

import asyncio
import gc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.cache.flights import Flights
from codelab.llm.chat import Controls
from codelab.llm.errors import Interrupted, ServerFailed
from codelab.llm.events import Batch, Text
from tests.llm.cache.support import MODEL, SAID, ask, cache, settle, upstream


async def read(seat):
    return [list(batch.events) async for batch in seat.batches()]


def never(*_args):
    raise AssertionError("asked twice")


async def test_who_comes_late_gets_all_of_it_from_the_first():
    flights, gate, closed = Flights(), asyncio.Event(), []
    leader = flights.join("k", upstream([SAID[0], gate, *SAID[1:]], closed))
    reading = asyncio.create_task(read(leader))
    await settle()
    follower = flights.join("k", never)
    assert (leader.leads, follower.leads) == (True, False)
    following = asyncio.create_task(read(follower))
    await settle()
    assert not closed
    gate.set()
    assert await reading == await following == SAID
    assert closed == ["closed"]
    assert len(flights) == 0


async def test_a_leader_who_leaves_hurts_nobody():
    flights, gate, closed = Flights(), asyncio.Event(), []
    leader = flights.join("k", upstream([SAID[0], gate, *SAID[1:]], closed))
    reading = asyncio.create_task(read(leader))
    following = asyncio.create_task(read(flights.join("k", never)))
    await settle()
    reading.cancel()
    await asyncio.wait([reading])
    assert not closed
    gate.set()
    assert await following == SAID


async def test_the_last_to_leave_hangs_up():
    flights, closed = Flights(), []
    readers = [flights.join("k", upstream([SAID[0], asyncio.Event()], closed)) for _ in range(3)]
    tasks = [asyncio.create_task(read(reader)) for reader in readers]
    await settle()
    for task in tasks:
        assert not closed
        task.cancel()
        await asyncio.wait([task])
        await settle()
    assert closed == ["closed"]
    assert len(flights) == 0


async def test_a_reader_who_closes_between_two_batches_has_left():
    flights, closed = Flights(), []
    batches = flights.join("k", upstream([SAID[0], asyncio.Event()], closed)).batches()
    await anext(batches)
    await batches.aclose()
    await settle()
    assert closed == ["closed"]


async def test_a_seat_that_nobody_sits_down_on_is_given_up():
    flights, closed = Flights(), []
    seat = flights.join("k", upstream([SAID[0], asyncio.Event()], closed))
    await settle()
    del seat
    gc.collect()
    await settle()
    assert closed == ["closed"]
    assert len(flights) == 0


async def test_what_goes_wrong_reaches_everybody_and_nobody_joins_it():
    flights, gate = Flights(), asyncio.Event()
    seats = [flights.join("k", upstream([SAID[0], gate, ServerFailed("broken")])) for _ in range(3)]
    readers = [asyncio.create_task(read(seat)) for seat in seats]
    await settle()
    gate.set()
    told = await asyncio.gather(*readers, return_exceptions=True)
    assert [type(error) for error in told] == [ServerFailed] * 3
    assert flights.join("k", upstream(SAID)).leads


async def test_batches_before_the_error_are_given_first():
    flights = Flights()
    batches = flights.join("k", upstream([SAID[0], ServerFailed("broken")])).batches()
    await settle()
    assert list((await anext(batches)).events) == SAID[0]
    with pytest.raises(ServerFailed):
        await anext(batches)


async def test_closing_tells_everybody():
    flights, closed = Flights(), []
    reader = asyncio.create_task(read(flights.join("k", upstream([SAID[0], asyncio.Event()], closed))))
    await settle()
    await flights.close()
    with pytest.raises(Interrupted):
        await reader
    assert closed == ["closed"]


async def test_who_wants_a_fresh_answer_does_not_get_one_that_has_ended():
    flights = Flights()
    slow = flights.join("k", upstream(SAID)).batches()
    await anext(slow)
    await settle(10)
    assert await read(flights.join("k", never)) == SAID
    refresh = flights.join("k", upstream([[Text("new")]]), fresh=True)
    assert refresh.leads
    assert await read(refresh) == [[Text("new")]]
    assert [list(b.events) async for b in slow] == SAID[1:]


def loud(size: int, count: int, made: list[int]):
    async def answer():
        for number in range(count):
            made.append(number)
            yield Batch(raw=bytes(size))

    return answer


async def test_an_upstream_does_not_run_away_from_its_readers():
    flights, made = Flights(max_bytes=1000), []
    batches = flights.join("k", loud(100, 100, made)).batches()
    await anext(batches)
    await settle(300)
    assert len(made) <= 13
    assert flights.join("k", loud(1, 1, [])).leads, "what was let go of cannot be given from the first"
    assert [batch async for batch in batches][-1].raw == bytes(100)
    assert len(made) == 100


async def test_a_reader_who_is_far_behind_is_told_and_does_not_hold_the_others():
    flights, made = Flights(max_bytes=1000), []
    fast, slow = (flights.join("k", loud(100, 100, made)).batches() for _ in range(2))
    await anext(slow)
    assert len([batch async for batch in fast]) == 100
    with pytest.raises(Interrupted):
        async for _ in slow:
            pass


async def test_who_wants_to_be_treated_otherwise_has_an_answer_of_their_own():
    it = cache()
    gate = asyncio.Event()
    wishes = [
        ask(),
        ask(stream=True),
        ask(controls=Controls(fallback=False)),
        ask(controls=Controls(exact_model=True)),
        ask(),
    ]
    seats = [it.join(it.plan(request, MODEL), upstream([gate])) for request in wishes]
    assert [seat.leads for seat in seats] == [True, True, True, True, False]
    assert it.books.of("default").shared == 1
    gate.set()
    await asyncio.gather(*map(read, seats))


async def test_refresh_does_not_join_what_has_ended():
    it = cache()
    slow = it.join(it.plan(ask(), MODEL), upstream(SAID)).batches()
    await anext(slow)
    await settle()
    assert not it.join(it.plan(ask(), MODEL), never).leads
    assert it.join(it.plan(ask(controls=Controls(cache="refresh")), MODEL), upstream(SAID)).leads


async def test_who_leaves_an_answer_that_failed_does_not_end_the_one_after_it():
    flights = Flights()
    failed = flights.join("k", upstream([ServerFailed("broken")]))
    await settle()
    gate = asyncio.Event()
    after = asyncio.create_task(read(flights.join("k", upstream([gate, SAID[0]]))))
    await settle()
    with pytest.raises(ServerFailed):
        await read(failed)
    follower = flights.join("k", never)
    gate.set()
    assert await read(follower) == await after == [SAID[0]]


async def test_what_was_bumped_is_not_joined():
    it = cache()
    gate = asyncio.Event()
    old = it.join(it.plan(ask(), MODEL), upstream([gate]))
    await it.bump(it.plan(ask(), MODEL).tags[:1])
    new = it.join(it.plan(ask(), MODEL), upstream([gate]))
    assert new.leads
    gate.set()
    await asyncio.gather(read(old), read(new))


class Sky:
    """One key, an upstream that says a batch when it is told to, and whoever reads it."""

    def __init__(self):
        self.flights = Flights()
        self.gates = asyncio.Queue()
        self.readers = []  # the answer, what was got of it, who reads

    async def answer(self):
        number = 0
        while (word := await self.gates.get()) == "batch":
            yield Batch([Text(str(number))])
            number += 1
        if word == "fail":
            raise ServerFailed("broken")

    def join(self, _which):
        got, answer = [], []
        self.readers.append((answer, got, asyncio.create_task(self.read(answer, got))))

    async def read(self, answer, got):
        seat = self.flights.join("k", self.answer)
        answer.append(seat._answer)
        async for batch in seat.batches():
            got.append(int(batch.events[0].text))

    def leave(self, which):
        if living := self.living():
            living[which % len(living)][2].cancel()

    def batch(self, _which):
        self.gates.put_nowait("batch")

    def living(self):
        return [reader for reader in self.readers if not reader[2].done()]


@given(
    st.lists(st.tuples(st.sampled_from(["join", "leave", "batch", "turn"]), st.integers(0, 4)), max_size=25),
    st.sampled_from(["end", "fail", "cut off"]),
)
def test_who_stays_gets_all_of_one_answer_and_its_end_whatever_the_others_do(doings, ending):
    async def fly():
        sky = Sky()
        for name, which in doings:
            getattr(sky, name, lambda _which: None)(which)
            await settle(which)
        await settle()
        await check(sky, ending)

    asyncio.run(fly())


async def check(sky, ending):
    staying = sky.living()
    if not staying:
        assert len(sky.flights) == 0
        return
    assert len({id(answer[0]) for answer, _, _ in staying}) == 1, "a second answer was begun while one was read"
    sky.gates.put_nowait(ending)
    if ending == "cut off":
        await sky.flights.close()
    told = await asyncio.gather(*(task for _, _, task in staying), return_exceptions=True)
    assert {type(error) for error in told} == {
        {"end": type(None), "fail": ServerFailed, "cut off": Interrupted}[ending]
    }
    whole = staying[0][1]
    assert whole == list(range(len(whole)))
    assert all(got == whole for _, got, _ in staying)
    assert len(sky.flights) == 0
