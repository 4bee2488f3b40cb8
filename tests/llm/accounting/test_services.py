"""What the routes call, on both databases."""

from __future__ import annotations

from typing import Any, get_args

from codelab.core.settings_llm import LedgerSettings
from codelab.core.types import Principal
from codelab.llm.accounting.ledger import SqlLedger
from codelab.llm.accounting.schemas import GroupBy, NewBudget, UsageFilter
from codelab.llm.accounting.setting import BudgetService
from codelab.llm.accounting.usage import UsageService
from codelab.llm.chat import CompletionRequest, Outcome
from codelab.llm.usage import Usage
from codelab.store.engine import Database
from tests.llm.accounting.support import NOON, Clock, accounts, budgets_of, caller

ROOT = Principal("root", scopes=frozenset({"llm:admin"}))
ALICE = Principal("alice")


async def test_usage_is_summed_alike(database: Database) -> None:
    clock = Clock()
    ledger = SqlLedger(database, LedgerSettings(), lambda usage: usage.total_tokens, clock)
    for model, estimated in (("a", False), ("b", True), ("b", False)):
        asked = CompletionRequest(body={"model": model, "messages": [], "stream": True}, caller=caller(thread_id="t"))
        used = Usage(10, 5, 1, 2, 3, 4, estimated)
        ledger.add(asked, Outcome(model=model, usage=used, cost=10**15, began=1.0, first=1.5, ended=2.0, cache="miss"))
    await ledger.close()
    usage = UsageService(ledger)
    for name in get_args(GroupBy):
        report = await usage.report(ALICE, UsageFilter(thread_id="t", since=NOON.replace(hour=11)), [name])
        assert sum(group.requests for group in report.groups) == report.total.requests == 3
        assert sum(group.cost for group in report.groups) == report.total.cost == 3 * 10**15
        assert (report.total.cache_write_tokens, report.total.estimated, report.total.first_token_ms) == (15, 1, 500.0)
        assert len(report.groups) == (2 if name == "model" else 1)
    assert (await usage.report(ALICE, UsageFilter(run_id="r"), [])).total.requests == 0
    newest = await usage.requests(ALICE, UsageFilter(), limit=2)
    assert [entry.model for entry in newest] == ["b", "b", "a"]
    older = await usage.requests(ALICE, UsageFilter(), limit=2, after=(newest[1].started_at, newest[1].id))
    assert [entry.model for entry in older] == ["a"]


async def test_budgets_are_set_and_shown_alike(database: Database) -> None:
    async with budgets_of(database) as budgets:
        service = BudgetService(budgets)
        asked: list[dict[str, Any]] = [
            {"scope": "user", "period": "day", "limit": 100},
            {"scope": "user", "period": "month", "limit": 1_000},
            {"scope": "user", "period": "total", "limit": 10_000},
            {"scope": "user", "period": "run", "limit": 50},
        ]
        made = [await service.put(ROOT, NewBudget(**facts)) for facts in asked]
        (await budgets.reserve(caller(run_id="r"), 40)).settle(40)
        (await budgets.reserve(caller(user_id="bob"), 30)).settle(30)
        shown = {budget.period: budget.accounts for budget in await service.all(ROOT)}
        assert [(account.subject, account.spent) for account in shown["day"]] == [("alice", 40), ("bob", 30)]
        assert [(account.subject, account.span, account.percent) for account in shown["run"]] == [("alice", "r", 80.0)]
        assert [account.span for account in shown["month"]] == ["2026-11", "2026-11"]
        assert [len(budget.accounts) for budget in await service.all(ALICE)] == [1, 1, 1, 1]
        again = await service.put(ROOT, NewBudget(**{**asked[0], "limit": 200}))
        assert (again.id, again.limit) == (made[0].id, 200)
        for budget in made:
            await service.delete(ROOT, budget.id)
        (await budgets.reserve(caller(), 10**9)).settle(1)
    assert await accounts(database) == {}
