"""`budget.warned`: once for each threshold and period, whoever notices; and a forecast before it is too late."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from codelab.core.events import DomainEvent, EventBus
from codelab.core.types import Principal
from codelab.llm.accounting.budgets import SqlBudgets
from codelab.llm.accounting.schemas import NewBudget
from codelab.llm.accounting.setting import BudgetService
from codelab.llm.errors import BudgetExceeded
from codelab.store.engine import Database
from tests.llm.accounting.support import NOON, Clock, Told, budgets_of, caller, set_limit

ALL = [50, 80, 95, 100]


async def spend(budgets: SqlBudgets, *amounts: int) -> None:
    for amount in amounts:
        (await budgets.reserve(caller(), amount)).settle(amount)
        await budgets.flush()


def thresholds(told: Told) -> list[int]:
    return [event.threshold for event in told.events]


async def test_each_threshold_is_told_once(database: Database) -> None:
    budget = await set_limit(database, 1_000, thresholds=ALL)
    bus = EventBus()
    told = Told(bus)
    async with budgets_of(database, bus=bus) as budgets:
        await spend(budgets, 400, 99, 1, 100, 200)
        assert thresholds(told) == [50, 80]
        await spend(budgets, 199, 1)
    assert thresholds(told) == [50, 80, 95, 100]
    first = told.events[0]
    assert (first.type, first.budget_id, first.subject, first.user_id) == ("budget.warned", budget, "alice", "alice")
    assert (first.spent, first.limit, first.span, first.runs_out_at) == (500, 1_000, "", None)


async def test_two_processes_tell_it_once(database: Database, other: Database) -> None:
    await set_limit(database, 1_000, thresholds=ALL)
    buses = EventBus(), EventBus()
    told = [Told(bus) for bus in buses]
    async with budgets_of(database, bus=buses[0]) as here, budgets_of(other, bus=buses[1]) as there:
        await spend(here, 500)
        await spend(there, 10)
        await spend(here, 10)
    assert thresholds(told[0]) + thresholds(told[1]) == [50]


async def test_the_next_period_is_told_of_again(memory: Database) -> None:
    await set_limit(memory, 1_000, period="day", thresholds=[50])
    bus, clock = EventBus(), Clock(NOON + timedelta(hours=11))
    told = Told(bus)
    async with budgets_of(memory, bus=bus, clock=clock) as budgets:
        await spend(budgets, 600)
        clock.at += timedelta(days=1)
        await spend(budgets, 600)
    assert [event.span for event in told.events] == ["2026-11-24", "2026-11-25"]


async def test_money_that_will_not_last_is_told_of_once(memory: Database) -> None:
    await set_limit(memory, 1_000, period="day", thresholds=[95])
    bus, clock = EventBus(), Clock(NOON)
    told = Told(bus)
    async with budgets_of(memory, bus=bus, clock=clock) as budgets:
        await spend(budgets, 500)  # as much as there is time
        assert told.events == []
        await spend(budgets, 125, 10, 10)
    (event,) = told.events
    assert (event.threshold, event.spent) == (0, 625)
    assert event.runs_out_at == datetime.fromisoformat("2026-11-24T19:12:00Z")


async def test_a_subscriber_that_hangs_keeps_no_request_waiting(memory: Database) -> None:
    await set_limit(memory, 1_000, thresholds=[50])
    bus, seen = EventBus(), []

    async def fail(event: DomainEvent) -> None:
        seen.append(event)
        raise RuntimeError("a subscriber's own fault")

    bus.subscribe(fail)
    async with budgets_of(memory, bus=bus) as budgets:
        await spend(budgets, 600, 100)
    assert len(seen) == 1
    assert sum(bus.failures.values()) == 1


async def test_another_limit_is_told_of_anew(memory: Database) -> None:
    bus = EventBus()
    told = Told(bus)
    root = Principal("root", scopes=frozenset({"llm:admin"}))
    async with budgets_of(memory, bus=bus) as budgets:
        service = BudgetService(budgets)
        await service.put(root, NewBudget(scope="user", period="total", limit=100, thresholds=[50, 100]))
        await spend(budgets, 100)
        with pytest.raises(BudgetExceeded):
            await spend(budgets, 1)
        await service.put(root, NewBudget(scope="user", period="total", limit=150, thresholds=[50, 100]))
        await spend(budgets, 25)
        await service.put(root, NewBudget(scope="user", period="total", limit=150, thresholds=[50, 100]))
        await spend(budgets, 25)
    assert thresholds(told) == [100, 50, 100]
