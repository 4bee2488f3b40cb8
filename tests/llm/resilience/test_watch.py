"""Long waits end, and nothing else is ended with them."""

import asyncio

import pytest

from codelab.llm.resilience.watch import Watch


def watch():
    return Watch(tick_s=0.005, fine_s=0)


async def test_a_wait_that_is_too_long_ends():
    with pytest.raises(TimeoutError):
        await watch().bound(asyncio.Event().wait(), 0.01)
    assert asyncio.current_task().cancelling() == 0


async def test_a_short_wait_has_a_timer_of_its_own():
    with pytest.raises(TimeoutError):
        await Watch().bound(asyncio.Event().wait(), 0.001)


async def test_what_comes_in_time_is_given_and_forgotten():
    w = watch()
    assert await w.bound(asyncio.sleep(0, "here"), 60) == "here"
    assert w._waits == {}


async def test_an_error_passes():
    async def fail():
        raise LookupError

    w = watch()
    with pytest.raises(LookupError):
        await w.bound(fail(), 60)
    assert w._waits == {}


async def test_whoever_is_cancelled_by_somebody_else_stays_so():
    w = watch()
    task = asyncio.create_task(w.bound(asyncio.Event().wait(), 60))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert w._waits == {}


async def test_each_ends_at_its_own_time():
    w, ended = watch(), []

    async def wait(seconds):
        try:
            await w.bound(asyncio.Event().wait(), seconds)
        except TimeoutError:
            ended.append(seconds)

    await asyncio.gather(*(wait(seconds) for seconds in (0.06, 0.02, 0.04)))
    assert ended == [0.02, 0.04, 0.06]
    await asyncio.sleep(0.02)
    assert w._timer is None  # nobody waits, nothing ticks


def test_it_serves_one_loop_after_another():
    w = watch()

    async def wait():
        with pytest.raises(TimeoutError):
            await w.bound(asyncio.Event().wait(), 0.01)
        await asyncio.wait_for(w.bound(asyncio.sleep(0), 60), 1)

    for _ in range(2):
        asyncio.run(wait())
