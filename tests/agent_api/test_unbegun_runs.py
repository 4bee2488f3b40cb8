"""A run that is stopped before anybody executes it: its followers are told, or they would wait for ever."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.agent_api.test_what_peers_get_wrong import Gates, graphs_of
from tests.support.agent_server import serving


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_follower_of_the_thread_hears_of_the_end(database_url: str, action: str) -> None:
    async with serving(graphs_of(Gates()), database_url, max_concurrent=0) as api:
        thread = f"/threads/{uuid4()}"
        start = {"id": 1, "method": "run.start", "params": {"assistant_id": "say", "input": {"name": "x"}}}
        run = (await api.post(f"{thread}/commands", json=start)).json()["result"]["run_id"]
        following = asyncio.create_task(first_end(api, thread))
        await asyncio.sleep(0.2)
        answer = await api.post(f"{thread}/runs/{run}/cancel", params={"wait": 1, "action": action})
        assert answer.status_code == 200
        async with asyncio.timeout(10):
            told = await following
        assert told["event"] == "failed"
        assert "cancelled" in told["error"]
        assert (await api.get(thread)).json()["status"] == "idle"


async def test_a_run_that_is_cancelled_while_its_graph_opens_ends_as_failed(database_url: str) -> None:
    opening = asyncio.Event()

    async def never(config: dict[str, Any]) -> Any:
        if config["configurable"].get("run_id"):
            opening.set()
            await asyncio.sleep(60)
        return graphs_of(Gates())["say"]

    async with serving({"slow": never}, database_url) as api:
        thread = f"/threads/{uuid4()}"
        start = {"id": 1, "method": "run.start", "params": {"assistant_id": "slow", "input": {"name": "x"}}}
        run = (await api.post(f"{thread}/commands", json=start)).json()["result"]["run_id"]
        async with asyncio.timeout(10):
            await opening.wait()
            following = asyncio.create_task(first_end(api, thread))
            assert (await api.post(f"{thread}/runs/{run}/cancel", params={"wait": 1})).status_code == 200
            told = await following
        assert told == {**told, "event": "failed", "error": "The run was cancelled"}


async def first_end(api: httpx.AsyncClient, thread: str) -> dict[str, Any]:
    """Follow a thread to the first event that tells of an end."""
    async with api.stream("POST", f"{thread}/stream/events", json={"channels": ["lifecycle"]}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                data: dict[str, Any] = json.loads(line[6:])["params"]["data"]
                if data["event"] != "running":
                    return data
    raise AssertionError("the stream ended")
