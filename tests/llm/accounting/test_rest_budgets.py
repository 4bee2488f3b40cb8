"""Limits over REST: who may set them, who sees which, how they stand."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from codelab.llm.accounting.budgets import SqlBudgets
from codelab.llm.chat import Caller
from codelab.llm.errors import BudgetExceeded

DAILY = {"scope": "user", "period": "day", "limit": 1_000}


def as_(user: str) -> dict[str, str]:
    return {"authorization": f"Bearer {user}"}


def budgets_of(client: httpx.AsyncClient) -> SqlBudgets:
    app: FastAPI = client.app  # type: ignore[attr-defined]
    budgets: SqlBudgets = app.state.runtime.llm.budgets
    return budgets


async def put(client: httpx.AsyncClient, user: str = "alice", **facts: Any) -> dict[str, Any]:
    answer = await client.put("/api/v1/budgets", json={**DAILY, **facts}, headers=as_(user))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def listed(client: httpx.AsyncClient, user: str = "alice") -> list[dict[str, Any]]:
    answer = await client.get("/api/v1/budgets", headers=as_(user))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def spend(client: httpx.AsyncClient, amount: int, **who: str) -> None:
    reservation = await budgets_of(client).reserve(Caller(**{"user_id": "alice", **who}), amount)
    reservation.settle(amount)


async def test_a_limit_holds_as_soon_as_it_is_set(people: httpx.AsyncClient) -> None:
    await spend(people, 10**9)
    made = await put(people)
    assert {name: made[name] for name in DAILY} == DAILY
    assert (made["subject"], made["thresholds"], made["on_exceeded"]) == ("*", [50, 80, 95, 100], "refuse")
    assert made["resets_at"] is not None
    await spend(people, 900)
    with pytest.raises(BudgetExceeded):
        await spend(people, 200)
    (shown,) = await listed(people)
    (account,) = shown["accounts"]
    assert account["span"] < shown["resets_at"]
    assert {name: account[name] for name in ("subject", "spent", "reserved", "percent", "warned")} == {
        "subject": "alice",
        "spent": 900,
        "reserved": 0,
        "percent": 90.0,
        "warned": 80,
    }


async def test_the_same_limit_is_replaced_and_keeps_what_was_spent(people: httpx.AsyncClient) -> None:
    first = await put(people)
    await spend(people, 900)
    second = await put(people, limit=2_000, on_exceeded="cheaper", thresholds=[90, 10, 90])
    assert second["id"] == first["id"]
    assert (second["limit"], second["on_exceeded"], second["thresholds"]) == (2_000, "cheaper", [10, 90])
    assert second["accounts"][0]["spent"] == 900
    await spend(people, 1_100)
    assert len(await listed(people)) == 1


async def test_a_deleted_limit_holds_nobody_up(people: httpx.AsyncClient) -> None:
    made = await put(people)
    await spend(people, 1_000)
    gone = await people.delete(f"/api/v1/budgets/{made['id']}", headers=as_("alice"))
    assert gone.status_code == 204
    await spend(people, 10**9)
    assert await listed(people) == []
    again = await people.delete(f"/api/v1/budgets/{made['id']}", headers=as_("alice"))
    assert again.status_code == 404


async def test_everybody_sees_their_own_only(people: httpx.AsyncClient) -> None:
    everybodys = await put(people)
    await put(people, subject="bob")
    await put(people, scope="tenant")
    await put(people, scope="thread", subject="t")
    carols = await put(people, subject="reader-carol", period="month")
    await spend(people, 10)
    await spend(people, 20, user_id="reader-carol")
    mine = {budget["id"]: budget["accounts"] for budget in await listed(people, "reader-carol")}
    assert set(mine) == {everybodys["id"], carols["id"]}
    assert [account["subject"] for accounts in mine.values() for account in accounts] == ["reader-carol"] * 2
    hidden = await people.get(
        f"/api/v1/budgets/{(await put(people, subject='bob'))['id']}", headers=as_("reader-carol")
    )
    assert hidden.status_code == 404
    assert len(await listed(people)) == 5


async def test_only_who_runs_the_tenant_sets_and_deletes(people: httpx.AsyncClient) -> None:
    made = await put(people)
    assert (await people.put("/api/v1/budgets", json=DAILY, headers=as_("reader-carol"))).status_code == 403
    assert (await people.delete(f"/api/v1/budgets/{made['id']}", headers=as_("reader-carol"))).status_code == 403
    assert (await people.get("/api/v1/budgets")).status_code == 401


@pytest.mark.parametrize(
    "facts",
    [
        {"limit": -1},
        {"limit": 10**18},
        {"limit": 1.5},
        {"period": "year"},
        {"scope": "planet"},
        {"subject": ""},
        {"scope": "tenant", "subject": "other"},
        {"thresholds": [0]},
        {"thresholds": [101]},
        {"tenant_id": "elsewhere"},
    ],
)
async def test_nonsense_is_refused(people: httpx.AsyncClient, facts: dict[str, Any]) -> None:
    answer = await people.put("/api/v1/budgets", json={**DAILY, **facts}, headers=as_("alice"))
    assert answer.status_code == 422
    assert await listed(people) == []


async def test_a_limit_of_nothing_stops_all_that_costs(people: httpx.AsyncClient) -> None:
    await put(people, limit=0)
    with pytest.raises(BudgetExceeded):
        await spend(people, 1)
    await spend(people, 0)
