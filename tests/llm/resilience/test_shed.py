"""Seats: how many calls at once, who waits, who is sent away."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.chat import Caller, Outcome
from codelab.llm.errors import AllDown
from codelab.llm.resilience.shed import Seats
from tests.llm.resilience.doubles import END, ROLE, chunk, model, request, world

A, B = model("a"), model("b", provider="q")
GOOD = [ROLE, chunk("good"), END]
BATCH = request(caller=Caller(user_id="u", priority="batch"))


def seats(**more):
    return Seats(**{"total": 10, "each": 10, "queue": 10, "batch_share": 0.8} | more)


async def until(holds):
    for _ in range(100):
        if holds():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came to that")


def test_the_total_and_each_provider_are_bounded():
    s = seats(total=3, each=2)
    assert [s.take("p"), s.take("p"), s.take("p")] == [True, True, False]
    assert [s.take("q"), s.take("q")] == [True, False]
    s.release("p")
    assert s.take("q")


def test_batch_work_leaves_seats_for_people():
    s = seats()
    taken = [s.take("p", "batch") for _ in range(10)]
    assert taken.count(True) == 8
    assert s.take("p")


async def test_whoever_waits_gets_the_next_seat_people_first():
    s, order = seats(total=1), []

    async def wait(name, priority):
        if await s.wait("p", priority, at_most_s=5):
            order.append(name)
            s.release("p")

    assert s.take("p")
    tasks = [asyncio.create_task(wait(f"batch{n}", "batch")) for n in range(2)]
    await until(lambda: s.waiting == 2)
    tasks.append(asyncio.create_task(wait("person", "interactive")))
    await until(lambda: s.waiting == 3)
    s.release("p")
    await asyncio.gather(*tasks)
    assert order == ["person", "batch0", "batch1"]
    assert (s.taken, s.waiting, s.shed) == (0, 0, 0)


async def test_a_full_queue_sends_the_latest_batch_request_away_for_a_person():
    s = seats(total=1, queue=2)
    assert s.take("p")
    batch = [asyncio.create_task(s.wait("p", "batch", at_most_s=5)) for _ in range(2)]
    await until(lambda: s.waiting == 2)
    person = asyncio.create_task(s.wait("p", "interactive", at_most_s=5))
    assert await batch[1] is False
    assert await s.wait("p", "batch", at_most_s=5) is False
    s.release("p")
    assert await person is True
    s.release("p")
    assert await batch[0] is True
    assert s.shed == 2


async def test_waiting_ends():
    s = seats(total=1)
    assert s.take("p")
    assert await s.wait("p", "interactive", at_most_s=0.001) is False
    assert (s.waiting, s.shed) == (0, 1)


async def test_whoever_is_cancelled_with_the_seat_in_hand_gives_it_back():
    s = seats(total=1)
    assert s.take("p")
    waiting = asyncio.create_task(s.wait("p", "interactive", at_most_s=5))
    await until(lambda: s.waiting == 1)
    s.release("p")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert s.taken == 0


@given(
    st.lists(st.tuples(st.sampled_from("pq"), st.sampled_from(["interactive", "batch"]), st.booleans()), max_size=60)
)
def test_the_bounds_hold_whatever_happens(steps):
    s, held = seats(total=5, each=3, batch_share=0.5), []
    for provider, priority, gives in steps:
        if gives and held:
            s.release(held.pop(0))
        elif s.take(provider, priority):
            held.append(provider)
        assert s.taken == len(held) <= 5
        assert max((held.count(name) for name in "pq"), default=0) <= 3


async def test_over_the_bound_the_client_is_told_when_to_come_back():
    w = world({"a": [[chunk("x"), asyncio.Event()]]}, max_calls=1, max_waiting=0)
    first = w.upstreams.answer(request(), [A], Outcome())
    await anext(first)
    outcome = Outcome()
    with pytest.raises(AllDown) as told:
        await w.ask([A], outcome=outcome)
    assert (told.value.status, told.value.code, told.value.retry_after) == (503, "shed", 1)
    assert (outcome.degraded, outcome.attempts) == ("shed", 0)
    await first.aclose()
    assert w.leaks == [0, 0, 0]


async def test_a_crowded_provider_is_left_for_a_free_one():
    w = world({"a": [[chunk("x"), asyncio.Event()]], "b": [GOOD]}, max_calls_each=1)
    first = w.upstreams.answer(request(), [A], Outcome())
    await anext(first)
    text, outcome = await w.ask([A, B])
    assert (text, outcome.model) == ("good", "b")
    await first.aclose()


async def test_a_short_wait_in_the_queue_is_not_noticed():
    go = asyncio.Event()
    w = world({"a": [[chunk("x"), go], GOOD]}, max_calls=1)
    first = asyncio.create_task(w.ask([A]))
    await until(lambda: w.upstreams.seats.taken == 1)
    second = asyncio.create_task(w.ask([A]))
    await until(lambda: w.upstreams.seats.waiting == 1)
    go.set()
    assert (await first)[0] == "x"
    assert (await second)[0] == "good"
    assert w.leaks == [0, 0, 0]


async def test_batch_work_is_shed_before_people():
    w = world({"a": [[chunk("x"), asyncio.Event()]]}, max_calls=2, batch_share=0.5, max_waiting=0)
    held = w.upstreams.answer(BATCH, [A], Outcome())
    await anext(held)
    with pytest.raises(AllDown):
        await w.ask([A], BATCH)
    person = w.upstreams.answer(request(), [A], Outcome())
    await anext(person)
    await person.aclose()
    await held.aclose()
