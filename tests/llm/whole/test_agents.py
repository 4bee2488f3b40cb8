"""The agents' own requests go through the gateway: their rows, their budgets, and beside them those of API keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from codelab.core.settings import DatabaseSettings, Settings, WorkspaceSettings
from codelab.core.settings_llm import LedgerSettings, LLMSettings, ModelNames
from codelab.llm.scripted import Script
from codelab.llm.scripted_server import RunningServer, serve
from codelab.server.app import create_app
from tests.llm.whole.world import CHAT, People, asking, bearing
from tests.support.agent_server import eventually

ROUTE = {"structured": {"agent": "coder", "confidence": 0.9, "reason": "a change"}}
LIST = {"when": {"agent": "coder", "step": 0}, "text": "I look.", "tool_calls": [{"name": "list_files"}]}
SCRIPT = Script.model_validate({"name": "agents", "replies": [ROUTE, LIST, {"text": "All done."}]})
VAGUE = "hm, the thing there"
"""No rule knows who should take it: the router asks its model."""


@dataclass
class Shop:
    """The whole service, with its models at a scripted server."""

    http: httpx.AsyncClient
    models: RunningServer

    async def thread(self) -> str:
        workspace = (await self.http.get("/api/v1/workspaces")).json()[0]["id"]
        made = await self.http.post("/api/v1/threads", json={"workspace_id": workspace})
        return str(made.json()["id"])

    async def turn(self, thread: str, text: str = VAGUE) -> list[dict[str, Any]]:
        """Say something and give all events of the run."""
        answer = await self.http.post(
            f"/api/v1/threads/{thread}/runs", json={"text": text}, headers={"accept": "text/event-stream"}
        )
        assert answer.status_code == 200, answer.text
        return [json.loads(line[5:]) for line in answer.text.splitlines() if line.startswith("data:")]

    async def rows(self, count: int, **query: str) -> list[dict[str, Any]]:
        """So many rows of the ledger, oldest first."""

        async def written() -> Any:
            items = (await self.http.get("/api/v1/usage/requests", params=query)).json()["items"]
            return items if len(items) >= count else None

        found = await eventually(written, f"{count} rows")
        assert len(found) == count
        return found[::-1]

    async def usage(self, **query: Any) -> dict[str, Any]:
        return (await self.http.get("/api/v1/usage", params=query)).json()

    async def limit(self, amount: int, **more: str) -> None:
        body = {"scope": "thread", "period": "total", "limit": amount, **more}
        assert (await self.http.put("/api/v1/budgets", json=body)).status_code == 200


@pytest.fixture
async def shop(tmp_path: Path, git_repo: Path) -> AsyncIterator[Shop]:
    catalog = tmp_path / "models.yaml"
    catalog.write_text("models: {house: {provider: openai, price: {input: 1, output: 5}}}", "utf-8")
    async with serve(SCRIPT) as models:
        settings = Settings(
            data_dir=tmp_path / "data",
            database=DatabaseSettings(url="sqlite://"),
            workspaces=WorkspaceSettings(roots=[git_repo]),
            llm=LLMSettings(
                base_url=models.url,
                models=ModelNames(strong="house"),
                catalog=catalog,
                ledger=LedgerSettings(flush_s=0.01),
            ),
            _env_file=None,
        )
        app = create_app(settings, auth=People())
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=httpx.ASGITransport(app=app),
                base_url="http://127.0.0.1",
                headers=bearing("ann@t1"),
                timeout=30,
            ) as http,
        ):
            assert (await http.post("/api/v1/workspaces", json={"path": str(git_repo)})).status_code == 201
            yield Shop(http, models)


async def test_a_turn_leaves_a_row_for_each_request_and_says_whose(shop: Shop) -> None:
    thread = await shop.thread()
    events = await shop.turn(thread)
    assert events[-1]["type"] == "RUN_FINISHED"
    run = events[-1]["runId"]
    rows = await shop.rows(3, thread_id=thread)
    assert [row["agent"] for row in rows] == ["router", "coder", "coder"]
    assert {(row["user_id"], row["run_id"], row["key_id"], row["error"]) for row in rows} == {("ann", run, "", "")}
    assert {row["cache"] for row in rows} == {"bypass"}
    assert all(row["cost"] > 0 and row["completion_tokens"] > 0 and not row["estimated"] for row in rows)
    assert len(shop.models.requests) == 3
    report = await shop.usage(thread_id=thread, group_by=["agent", "run"])
    assert {group["key"]["agent"]: group["requests"] for group in report["groups"]} == {"router": 1, "coder": 2}
    assert report["total"]["cost"] == sum(row["cost"] for row in rows)
    assert report["total"]["prompt_tokens"] == sum(row["prompt_tokens"] for row in rows)


async def test_a_spent_budget_ends_the_turn_with_a_clear_word_and_the_thread_goes_on_when_it_is_raised(
    shop: Shop,
) -> None:
    thread = await shop.thread()
    await shop.limit(1)
    last = (await shop.turn(thread))[-1]
    assert (last["type"], last["code"]) == ("RUN_ERROR", "budget_exceeded")
    assert "thread" in last["message"]
    assert "Error" not in last["message"]
    rows = await shop.rows(2, thread_id=thread)
    assert {(row["error"], row["cost"], row["attempts"]) for row in rows} == {("budget_exceeded", 0, 0)}
    assert shop.models.requests == []
    await shop.limit(10**10)
    assert (await shop.turn(thread))[-1]["type"] == "RUN_FINISHED"
    messages = (await shop.http.get(f"/api/v1/threads/{thread}/messages")).json()
    assert "All done." in json.dumps(messages)


async def test_an_agents_own_budget_stops_that_agent(shop: Shop) -> None:
    """The router's requests are the router's: where it may not ask, rules choose."""
    await shop.limit(0, scope="agent", subject="router")
    thread = await shop.thread()
    assert (await shop.turn(thread))[-1]["type"] == "RUN_FINISHED"
    rows = await shop.rows(1 + len(shop.models.requests), thread_id=thread)
    assert rows[0]["agent"] == "router"
    assert rows[0]["error"] == "budget_exceeded"
    assert all(row["error"] == "" for row in rows[1:])


async def test_keys_and_agents_stand_in_one_account(shop: Shop) -> None:
    thread = await shop.thread()
    await shop.turn(thread)
    key = (await shop.http.post("/api/v1/api-keys", json={"name": "script"})).json()
    answer = await shop.http.post(CHAT, json=asking("strong"), headers=bearing(key["key"]))
    assert answer.status_code == 200, answer.text
    rows = await shop.rows(4)
    report = await shop.usage(group_by=["key", "agent"])
    counted = {(group["key"]["key"], group["key"]["agent"]): group["requests"] for group in report["groups"]}
    assert counted == {("", "router"): 1, ("", "coder"): 2, (key["id"], ""): 1}
    assert report["total"]["cost"] == sum(row["cost"] for row in rows) > 0
    others = await shop.http.get("/api/v1/usage", headers=bearing("eve@t2"))
    assert others.json()["total"]["requests"] == 0
