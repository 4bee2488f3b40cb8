"""Reserving and settling: who waits, who is refused, what is written, what comes back."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from codelab.core.errors import Unavailable
from codelab.core.events import EventBus
from codelab.core.settings_llm import BudgetSettings
from codelab.llm.accounting.budgets import NoBudgets, SqlBudgets
from codelab.llm.accounting.slices import UNLIMITED, Held
from codelab.llm.errors import BudgetExceeded
from codelab.store.engine import Database
from tests.llm.accounting.support import (
    NOON,
    Clock,
    accounts,
    budgets_of,
    caller,
    kill,
    leased,
    leases,
    set_limit,
    totals,
)

ALICE = caller()


def steps(coroutine: object) -> int:
    """How often it waits until it is done."""
    count = 0
    try:
        while True:
            coroutine.send(None)  # type: ignore[attr-defined]
            count += 1
    except StopIteration:
        return count


async def test_what_is_settled_is_spent_and_the_rest_comes_back(database: Database) -> None:
    budget = await set_limit(database, 1_000)
    async with budgets_of(database) as budgets:
        reservation = await budgets.reserve(ALICE, 100)
        assert (await totals(database))[1] >= 100
        reservation.settle(30)
        reservation.settle(99)  # whatever comes after the first time is ignored
    assert await accounts(database) == {(budget, "alice", ""): (30, 0)}
    assert await leases(database) == 0


async def test_a_request_waits_only_when_the_slice_is_used_up(memory: Database) -> None:
    await set_limit(memory, 1_000_000)
    async with budgets_of(memory) as budgets:
        (await budgets.reserve(ALICE, 10)).settle(10)
        assert [steps(budgets.reserve(ALICE, 10)) for _ in range(3)] == [0, 0, 0]


async def test_whom_no_budget_concerns_waits_once(memory: Database) -> None:
    async with budgets_of(memory) as budgets:
        assert await budgets.reserve(ALICE, 10) is UNLIMITED
        assert steps(budgets.reserve(ALICE, 10)) == 0
        assert steps(budgets.reserve(caller(user_id="bob"), 10)) == 0
        await set_limit(memory, 10)
        budgets.forget("default")
        with pytest.raises(BudgetExceeded):
            await budgets.reserve(ALICE, 11)


async def test_a_limit_of_another_process_is_found_out(memory: Database) -> None:
    async with budgets_of(memory, refresh_s=0.01) as budgets:
        assert await budgets.reserve(ALICE, 10) is UNLIMITED
        await set_limit(memory, 5)
        await asyncio.sleep(0.02)
        await budgets.flush()
        with pytest.raises(BudgetExceeded):
            await budgets.reserve(ALICE, 10)


async def test_a_refusal_says_which_budget_and_until_when(memory: Database) -> None:
    budget = await set_limit(memory, 2_000_000_000, period="day", on_exceeded="cheaper")
    async with budgets_of(memory) as budgets:
        (await budgets.reserve(ALICE, 1_500_000_000)).settle(1_500_000_000)
        with pytest.raises(BudgetExceeded) as refused:
            await budgets.reserve(ALICE, 1_000_000_000)
    assert str(refused.value) == (
        "The daily budget of user alice has no room for this request, which may cost $1.00: $1.50 of $2.00 spent. "
        "It starts anew at 2026-11-25 00:00 UTC."
    )
    assert (refused.value.status, refused.value.code) == (402, "budget_exceeded")
    assert (refused.value.retry_after, refused.value.cheaper) == (12 * 3600, True)
    assert refused.value.extra["budget"] == budget


async def test_the_strictest_of_several_speaks(memory: Database) -> None:
    await set_limit(memory, 10, on_exceeded="cheaper")
    await set_limit(memory, 10, scope="tenant")
    async with budgets_of(memory) as budgets:
        with pytest.raises(BudgetExceeded, match="budget of tenant has no room") as refused:
            await budgets.reserve(ALICE, 11)
    assert not refused.value.cheaper


async def test_all_budgets_are_reserved_or_none(database: Database) -> None:
    wide = await set_limit(database, 1_000, scope="tenant")
    await set_limit(database, 10, subject="alice")
    async with budgets_of(database) as budgets:
        with pytest.raises(BudgetExceeded):
            await budgets.reserve(ALICE, 11)
        await budgets.flush()
        assert (await totals(database)) == (0, 0)
        (await budgets.reserve(caller(user_id="bob"), 1_000)).settle(1_000)
    assert (await accounts(database))[wide, "default", ""] == (1_000, 0)


async def test_the_whole_limit_can_be_spent_to_the_last_nano(database: Database) -> None:
    await set_limit(database, 1_003)
    async with budgets_of(database) as budgets:
        for _ in range(100):
            (await budgets.reserve(ALICE, 10)).settle(10)
        with pytest.raises(BudgetExceeded):
            await budgets.reserve(ALICE, 4)
        (await budgets.reserve(ALICE, 3)).settle(3)
    assert await totals(database) == (1_003, 0)


async def test_what_cost_more_than_reserved_is_written_through(database: Database) -> None:
    await set_limit(database, 100)
    async with budgets_of(database) as budgets:
        (await budgets.reserve(ALICE, 60)).settle(130)
        with pytest.raises(BudgetExceeded):
            await budgets.reserve(ALICE, 1)
        assert await totals(database) == (130, 0)


async def test_idle_slices_go_back_to_who_needs_them(database: Database, other: Database) -> None:
    await set_limit(database, 1_000)
    clock = Clock()
    async with budgets_of(database, clock=clock) as here, budgets_of(other, clock=clock) as there:
        (await here.reserve(ALICE, 10)).settle(10)
        await here.flush()
        with pytest.raises(BudgetExceeded):
            await there.reserve(ALICE, 990)
        clock.at += timedelta(seconds=6)
        await here.flush()
        (await there.reserve(ALICE, 990)).settle(990)
    assert await totals(database) == (1_000, 0)


async def test_near_the_limit_nothing_is_kept_back(database: Database, other: Database) -> None:
    await set_limit(database, 100)
    async with budgets_of(database) as here, budgets_of(other) as there:
        for _ in range(18):
            (await here.reserve(ALICE, 10)).settle(5)
        await here.flush()
        (await there.reserve(ALICE, 10)).settle(10)
    assert await totals(database) == (100, 0)


@pytest.mark.parametrize("period", ["day", "month"])
async def test_a_new_period_starts_at_nothing(memory: Database, period: str) -> None:
    await set_limit(memory, 100, period=period)
    clock = Clock(datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC))
    async with budgets_of(memory, clock=clock) as budgets:
        (await budgets.reserve(ALICE, 60)).settle(60)
        late = await budgets.reserve(ALICE, 40)
        with pytest.raises(BudgetExceeded):
            await budgets.reserve(ALICE, 1)
        clock.at += timedelta(seconds=1)
        (await budgets.reserve(ALICE, 100)).settle(7)
        late.settle(39)  # it belongs to the period in which it was reserved
    spans = {span: spent for (_, _, span), (spent, _) in (await accounts(memory)).items()}
    assert sorted(spans.values()) == [7, 99]
    assert spans[max(spans)] == 7


async def test_a_run_has_its_own_budget(memory: Database) -> None:
    await set_limit(memory, 100, scope="agent", subject="coder", period="run")
    async with budgets_of(memory) as budgets:
        for run in ("r1", "r2"):
            mine = caller(agent="coder", run_id=run)
            (await budgets.reserve(mine, 100)).settle(100)
            with pytest.raises(BudgetExceeded, match="budget for one run of agent coder"):
                await budgets.reserve(mine, 1)
        assert await budgets.reserve(caller(agent="coder"), 500) is UNLIMITED


async def test_a_raised_limit_lets_the_next_request_pass(memory: Database) -> None:
    await set_limit(memory, 10)
    async with budgets_of(memory) as budgets:
        with pytest.raises(BudgetExceeded):
            await budgets.reserve(ALICE, 20)
        await set_limit(memory, 100, subject="alice")
        budgets.forget("default")
        (await budgets.reserve(ALICE, 20)).settle(20)


async def test_a_cancelled_request_holds_nothing(database: Database) -> None:
    await set_limit(database, 100)
    async with budgets_of(database) as budgets:
        waiting = [asyncio.create_task(budgets.reserve(ALICE, 10)) for _ in range(5)]
        await asyncio.sleep(0)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        (await budgets.reserve(ALICE, 100)).settle(0)
    assert await totals(database) == (0, 0)


async def test_one_that_is_stopped_just_when_it_was_served_holds_nothing(memory: Database) -> None:
    await set_limit(memory, 100)
    async with budgets_of(memory) as budgets:
        ends = set()
        for steps_on in range(200):
            task = asyncio.create_task(budgets.reserve(ALICE, 100))
            for _ in range(steps_on):
                await asyncio.sleep(0)
            task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
            ends.add(type(ended))
            if isinstance(ended, Held):
                ended.settle(0)
                break
            (await budgets.reserve(ALICE, 100)).settle(0)
            await budgets.flush()  # the next one waits for the database again
    assert ends == {asyncio.CancelledError, Held}


async def test_what_a_killed_process_held_counts_as_spent_after_its_lease(database: Database, other: Database) -> None:
    await set_limit(database, 1_000)
    clock = Clock()
    dying = SqlBudgets(database, BudgetSettings(lease_s=60), EventBus(), clock)
    (await dying.reserve(ALICE, 10)).settle(10)
    held = await leased(database)
    await kill(dying)
    async with budgets_of(other, clock=clock) as before:
        (await before.reserve(ALICE, 10)).settle(10)
    assert await totals(database) == (10, held)
    clock.at = NOON + timedelta(seconds=61)
    async with budgets_of(other, clock=clock) as after:
        await after.flush()
        (await after.reserve(ALICE, 10)).settle(10)
    assert await totals(database) == (20 + held, 0)


async def test_a_lease_that_was_taken_for_dead_is_not_spent_twice(database: Database, other: Database) -> None:
    await set_limit(database, 1_000)
    early, late = Clock(), Clock(NOON + timedelta(minutes=5))
    async with budgets_of(database, clock=early) as slow:
        flying = await slow.reserve(ALICE, 10)
        held = await leased(database)
        async with budgets_of(other, clock=late) as quick:  # its clock is ahead, or the other one hung
            await quick.flush()
            (await quick.reserve(ALICE, 1)).settle(1)
        flying.settle(10)
        await slow.flush()
        (await slow.reserve(ALICE, 10)).settle(10)
    assert await totals(database) == (held + 11, 0)


async def test_what_is_settled_after_a_lease_was_lost_is_counted_with_it(memory: Database) -> None:
    await set_limit(memory, 1_000)
    early, late = Clock(), Clock(NOON + timedelta(minutes=5))
    async with budgets_of(memory, clock=early) as slow:
        flying, other = await slow.reserve(ALICE, 10), await slow.reserve(ALICE, 10)
        held = await leased(memory)
        async with budgets_of(memory, clock=late) as quick:
            await quick.reserve(ALICE, 1)  # its first round buries the dead
            await quick.flush()
        other.settle(10)
        await slow.flush()  # finds out
        flying.settle(25)  # ten were held, the rest was not
        await slow.flush()
    assert await totals(memory) == (held + 15, 1)


async def test_what_could_not_be_written_is_written_later(memory: Database) -> None:
    budget = await set_limit(memory, 1_000)
    async with budgets_of(memory) as budgets:
        (await budgets.reserve(ALICE, 100)).settle(130)
        await rename(memory, "budget_accounts", "elsewhere")
        with pytest.raises(Unavailable):
            await budgets.flush()
        await rename(memory, "elsewhere", "budget_accounts")
        await budgets.flush()
        assert (await accounts(memory))[budget, "alice", ""] == (130, 0)


async def rename(database: Database, table: str, to: str) -> None:
    async with database.transaction() as session:
        await (await session.connection()).exec_driver_sql(f"ALTER TABLE {table} RENAME TO {to}")


async def test_a_database_out_of_reach_refuses_for_now(memory: Database) -> None:
    await set_limit(memory, 100)
    budgets = SqlBudgets(memory, BudgetSettings(), EventBus(), Clock())
    await rename(memory, "budgets", "elsewhere")
    with pytest.raises(Unavailable):
        await budgets.reserve(ALICE, 1)
    await rename(memory, "elsewhere", "budgets")
    (await budgets.reserve(ALICE, 1)).settle(1)
    await budgets.close()
    with pytest.raises(Unavailable):
        await budgets.reserve(ALICE, 1_000)


async def test_nothing_that_is_remembered_grows_without_bound(memory: Database) -> None:
    await set_limit(memory, 10**12, scope="thread")
    async with budgets_of(memory) as budgets:
        book = budgets._book
        book.most_slices, book.most_callers, book.most_tenants = 100, 50, 20
        for start in range(0, 400, 20):
            callers = [caller(thread_id=f"t{start + n}") for n in range(20)]
            for held in await asyncio.gather(*(budgets.reserve(each, 10) for each in callers)):
                held.settle(1)
            assert len(book.slices) <= 120
            assert len(book.tenants["default"].plans) <= 50
        everybody = [caller(tenant_id=f"tenant{n}") for n in range(60)]
        await asyncio.gather(*(budgets.reserve(each, 1) for each in everybody))
        assert len(book.tenants) <= 20
    assert await totals(memory) == (400, 0)


async def test_spans_that_are_long_over_are_forgotten(database: Database) -> None:
    for scope, period in (("user", "day"), ("user", "total"), ("thread", "run")):
        await set_limit(database, 1_000, scope=scope, period=period)
    clock = Clock()
    for day, left in ((0, 3), (34, 4), (36, 3)):
        clock.at = NOON + timedelta(days=day)
        async with budgets_of(database, clock=clock) as budgets:
            spending = caller(thread_id="t", run_id="r") if day == 0 else caller()
            (await budgets.reserve(spending, 10)).settle(10)
            await budgets.flush()
        assert len(await accounts(database)) == left
    assert sorted(span for _, _, span in await accounts(database)) == ["", "2026-12-28", "2026-12-30"]


async def test_without_a_database_everybody_may_spend() -> None:
    budgets = NoBudgets()
    budgets.start()
    (await budgets.reserve(ALICE, 10**18)).settle(1)
    await budgets.close()
