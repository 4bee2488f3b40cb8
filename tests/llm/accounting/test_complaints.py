"""What users of gateways suffer from, by the number of the issue in BerriAI/litellm."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from codelab.core.settings_llm import LedgerSettings
from codelab.llm.accounting.ledger import SqlLedger
from codelab.llm.accounting.slices import UNLIMITED
from codelab.llm.chat import Caller, CompletionRequest, Outcome
from codelab.llm.errors import BudgetExceeded
from codelab.llm.usage import Usage
from codelab.store.engine import Database
from codelab.store.models import LedgerRow
from tests.llm.accounting.support import accounts, budgets_of, caller, set_limit, totals


async def at_once(count: int, reserving: Any) -> int:
    """Begin many requests together; how many may go on. They all hold what they reserved."""
    ended = await asyncio.gather(*(reserving(n) for n in range(count)), return_exceptions=True)
    assert all(isinstance(each, BudgetExceeded) for each in ended if isinstance(each, BaseException))
    return sum(not isinstance(each, BaseException) for each in ended)


async def test_34732_concurrent_requests_of_a_session_race_past_its_budget(database: Database, other: Database) -> None:
    await set_limit(database, 100, scope="thread")
    mine = caller(thread_id="session")
    async with budgets_of(database) as here, budgets_of(other) as there:
        served = await at_once(60, lambda n: (here, there)[n % 2].reserve(mine, 10))
    assert served == 10


async def test_40095_the_first_concurrent_requests_of_an_unknown_user_pass(database: Database, other: Database) -> None:
    await set_limit(database, 50)  # for each user, and nobody has seen this one
    async with budgets_of(database) as here, budgets_of(other) as there:
        served = await at_once(40, lambda n: (here, there)[n % 2].reserve(caller(user_id="stranger"), 10))
    assert served == 5


@pytest.mark.parametrize("scope", ["key", "user"])
async def test_26672_a_budget_is_enforced_for_keys_and_users(memory: Database, scope: str) -> None:
    subject = {"key": "sk-1", "user": "alice"}[scope]
    await set_limit(memory, 100, scope=scope, subject=subject, period="day")
    async with budgets_of(memory) as budgets:
        (await budgets.reserve(caller(key_id="sk-1"), 100)).settle(100)
        for _ in range(3):
            with pytest.raises(BudgetExceeded):
                await budgets.reserve(caller(key_id="sk-1"), 1)


async def test_23714_a_key_that_has_spent_its_budget_goes_on(database: Database, other: Database) -> None:
    """It was over before this process started, and one request is dearer than was thought."""
    await set_limit(database, 100, scope="key", subject="sk-1", period="month")
    mine = caller(key_id="sk-1")
    async with budgets_of(database) as before:
        (await before.reserve(mine, 90)).settle(104)
    async with budgets_of(other) as budgets:
        for _ in range(3):
            with pytest.raises(BudgetExceeded):
                await budgets.reserve(mine, 1)
    assert await totals(database) == (104, 0)


@pytest.mark.parametrize(
    "asking",
    [caller(user_id="eve"), caller(user_id="eve", key_id="sk-1"), caller(user_id="eve", agent="coder", thread_id="t")],
)
async def test_11083_a_users_budget_holds_however_the_request_comes(memory: Database, asking: Caller) -> None:
    """Through a key, a thread or an agent that have room of their own, or none at all."""
    for scope in ("tenant", "key", "agent", "thread"):
        await set_limit(memory, 10_000, scope=scope)
    await set_limit(memory, 100, subject="eve")
    async with budgets_of(memory) as budgets:
        (await budgets.reserve(asking, 100)).settle(100)
        with pytest.raises(BudgetExceeded, match="user eve"):
            await budgets.reserve(asking, 1)


async def test_10973_a_model_that_costs_nothing_is_not_blocked(memory: Database) -> None:
    await set_limit(memory, 10, scope="tenant")
    async with budgets_of(memory) as budgets:
        (await budgets.reserve(caller(), 10)).settle(10)
        with pytest.raises(BudgetExceeded):
            await budgets.reserve(caller(), 1)
        free = await budgets.reserve(caller(), 0)
        assert free is UNLIMITED
        free.settle(0)
    assert [spent for spent, _ in (await accounts(memory)).values()] == [10]


async def stored(database: Database, **facts: Any) -> LedgerRow:
    request = CompletionRequest(body={"model": "claude", "messages": [], "stream": True}, caller=caller())
    async with SqlLedger(database, LedgerSettings(), lambda usage: usage.total_tokens) as ledger:
        ledger.add(request, Outcome(provider="anthropic", model="claude", cache="miss", **facts))
    async with database.read() as session:
        return (await session.scalars(select(LedgerRow))).one()


async def test_36083_cached_tokens_of_a_stream_reach_the_ledger(database: Database) -> None:
    raw = {"prompt_tokens": 1_000, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 900}}
    row = await stored(database, usage=Usage(1_000, 5, 900), raw_usage=raw, cost=123)
    assert (row.prompt_tokens, row.cached_tokens, row.completion_tokens, row.cost) == (1_000, 900, 5, 123)
    assert row.usage == raw


async def test_11789_the_bill_is_stored_as_it_was_reckoned(database: Database) -> None:
    """Not reckoned again from totals, at the full price of what was read from a cache."""
    row = await stored(database, usage=Usage(100_000, 1, 99_000), cost=7, price_version="2026-11-01")
    assert (row.cost, row.cached_tokens, row.price_version) == (7, 99_000, "2026-11-01")


async def test_31724_tokens_cached_for_an_hour_are_kept_apart(database: Database) -> None:
    row = await stored(database, usage=Usage(5_000, 1, cache_write_tokens=1_000, cache_write_1h_tokens=3_000), cost=9)
    assert (row.cache_write_tokens, row.cache_write_1h_tokens) == (1_000, 3_000)
