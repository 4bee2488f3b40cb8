"""What requests to models used and cost, over REST: whose, how summed, how paged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from codelab.llm.chat import Caller, CompletionRequest, Outcome
from codelab.llm.usage import Usage
from tests.llm.accounting.support import until

TODAY = datetime.now(UTC).date()


def as_(user: str) -> dict[str, str]:
    return {"authorization": f"Bearer {user}"}


def note(app: FastAPI, who: dict[str, str], **facts: Any) -> None:
    request = CompletionRequest(body={"model": "m", "messages": []}, caller=Caller(**{"user_id": "alice", **who}))
    values = {"provider": "openai", "model": "gpt", "cache": "miss", "usage": Usage(100, 50, 40), "cost": 7, **facts}
    app.state.runtime.llm.ledger.add(request, Outcome(**values))


@pytest.fixture
async def used(people: httpx.AsyncClient) -> httpx.AsyncClient:
    """Seven requests of two people and another tenant's, all written."""
    app: FastAPI = people.app  # type: ignore[attr-defined]
    for thread in ("t1", "t1", "t2"):
        note(app, {"thread_id": thread, "run_id": "r", "agent": "coder"})
    note(app, {"key_id": "k"}, model="claude", provider="anthropic", cost=1_000)
    note(app, {}, cache="hit", cost=0, saved=7)
    note(app, {}, error="upstream_timeout", usage=Usage(100, estimated=True), cost=0)
    note(app, {"user_id": "reader-carol"}, cost=20)
    note(app, {"tenant_id": "elsewhere"}, cost=10**12)
    await until(lambda: not app.state.runtime.llm.ledger.waiting)
    return people


async def report(client: httpx.AsyncClient, user: str = "alice", **params: Any) -> dict[str, Any]:
    answer = await client.get("/api/v1/usage", params=params, headers=as_(user))
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_an_administrator_sees_the_tenant(used: httpx.AsyncClient) -> None:
    total = (await report(used))["total"]
    assert {name: total[name] for name in ("requests", "errors", "cache_hits", "estimated")} == {
        "requests": 7,
        "errors": 1,
        "cache_hits": 1,
        "estimated": 1,
    }
    assert (total["cost"], total["saved"]) == (3 * 7 + 1_000 + 20, 7)
    assert (total["prompt_tokens"], total["cached_tokens"], total["completion_tokens"]) == (700, 240, 300)
    assert total["baseline_cost"] == 6 * 150 + 100


async def test_everybody_else_sees_their_own(used: httpx.AsyncClient) -> None:
    answer = await report(used, "reader-carol", group_by="user")
    assert answer["total"]["requests"] == 1
    assert [group["key"] for group in answer["groups"]] == [{"user": "reader-carol"}]
    assert (await report(used, "reader-carol", user_id="alice"))["total"]["requests"] == 0


@pytest.mark.parametrize(
    ("name", "groups"),
    [
        ("model", {"claude": 1_000, "gpt": 41}),
        ("provider", {"anthropic": 1_000, "openai": 41}),
        ("user", {"alice": 1_021, "reader-carol": 20}),
        ("thread", {"": 1_020, "t1": 14, "t2": 7}),
        ("run", {"": 1_020, "r": 21}),
        ("agent", {"": 1_020, "coder": 21}),
        ("key", {"k": 1_000, "": 41}),
        ("day", {str(TODAY): 1_041}),
        ("cache", {"miss": 1_041, "hit": 0}),
        ("error", {"": 1_041, "upstream_timeout": 0}),
    ],
)
async def test_totals_by_what_one_asks_for(used: httpx.AsyncClient, name: str, groups: dict[str, int]) -> None:
    found = (await report(used, group_by=name))["groups"]
    assert [(group["key"][name], group["cost"]) for group in found] == list(groups.items())


async def test_groups_may_be_of_several_names(used: httpx.AsyncClient) -> None:
    found = (await report(used, group_by=["day", "model"]))["groups"]
    assert [group["key"] for group in found] == [
        {"day": str(TODAY), "model": "claude"},
        {"day": str(TODAY), "model": "gpt"},
    ]


async def test_only_some_requests(used: httpx.AsyncClient) -> None:
    assert (await report(used, thread_id="t1"))["total"]["requests"] == 2
    assert (await report(used, run_id="r", agent="coder"))["total"]["requests"] == 3
    assert (await report(used, since=str(TODAY - timedelta(days=1))))["total"]["requests"] == 7
    assert (await report(used, until=str(TODAY - timedelta(days=1))))["total"]["requests"] == 0


@pytest.mark.parametrize(
    "params", [{"group_by": "tenant"}, {"since": "yesterday"}, {"since": "0001-01-01T00:00+14:00"}]
)
async def test_nonsense_is_refused(used: httpx.AsyncClient, params: dict[str, str]) -> None:
    answer = await used.get("/api/v1/usage", params=params, headers=as_("alice"))
    assert answer.status_code == 422


async def test_single_requests_come_newest_first_and_in_pages(used: httpx.AsyncClient) -> None:
    seen: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = (await used.get("/api/v1/usage/requests", params={"limit": 3, **cursor}, headers=as_("alice"))).json()
        seen += page["items"]
        if page["next_cursor"] is None:
            break
        assert len(page["items"]) == 3
        cursor = {"cursor": page["next_cursor"]}
    assert len({entry["id"] for entry in seen}) == 7
    assert [entry["started_at"] for entry in seen] == sorted((entry["started_at"] for entry in seen), reverse=True)
    assert {entry["user_id"] for entry in seen} == {"alice", "reader-carol"}
    dear = next(entry for entry in seen if entry["key_id"] == "k")
    assert dear["cost"] == 1_000
    one = {"request_id": dear["request_id"]}
    assert (await used.get("/api/v1/usage/requests", params=one, headers=as_("alice"))).json()["items"] == [dear]


async def test_usage_needs_a_permission(used: httpx.AsyncClient) -> None:
    assert (await used.get("/api/v1/usage")).status_code == 401
