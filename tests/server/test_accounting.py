"""A request through the endpoint stands in the ledger, and counts against budgets."""

from __future__ import annotations

import httpx
from fastapi import FastAPI

from tests.llm.accounting.support import until

ASKED = {"model": "strong", "messages": [{"role": "user", "content": "hello"}]}


async def test_an_answer_is_accounted_for(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/chat/completions", json=ASKED, headers={"x-codelab-thread": "t1"})
    assert answer.status_code == 200, answer.text
    app: FastAPI = client.app  # type: ignore[attr-defined]
    await until(lambda: not app.state.runtime.llm.ledger.waiting)
    (row,) = (await client.get("/api/v1/usage/requests", params={"thread_id": "t1"})).json()["items"]
    assert (row["request_id"], row["model"]) == (answer.headers["x-request-id"], answer.headers["x-codelab-model"])
    assert row["completion_tokens"] == answer.json()["usage"]["completion_tokens"] > 0
    (group,) = (await client.get("/api/v1/usage", params={"group_by": "thread"})).json()["groups"]
    assert (group["key"], group["requests"], group["cost"]) == ({"thread": "t1"}, 1, 0)


async def test_a_model_that_costs_nothing_answers_beyond_every_budget(client: httpx.AsyncClient) -> None:
    limit = {"scope": "tenant", "period": "total", "limit": 0}
    assert (await client.put("/api/v1/budgets", json=limit)).status_code == 200
    assert (await client.post("/v1/chat/completions", json=ASKED)).status_code == 200
