"""One stream over all runs of a thread, over real sockets."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from tests.agent_api.thread_graphs import graphs, made
from tests.support.agent_server import serving


async def told(api: httpx.AsyncClient, thread: str, count: int, **query: Any) -> list[tuple[str, Any, str]]:
    """The first `count` events: name, data, id."""
    found: list[tuple[str, Any, str]] = []
    headers = {"last-event-id": query.pop("after")} if "after" in query else {}
    async with asyncio.timeout(10), api.stream("GET", f"{thread}/stream", params=query, headers=headers) as answer:
        assert answer.status_code == 200, await answer.aread()
        event: dict[str, str] = {}
        async with aclosing(answer.aiter_lines()) as lines:
            async for line in lines:
                name, _, value = line.partition(": ")
                if name in {"event", "data", "id"}:
                    event[name] = value
                elif not line and event:
                    found.append((event["event"], json.loads(event["data"]), event["id"]))
                    event = {}
                if len(found) == count:
                    return found
    return found


async def talk(api: httpx.AsyncClient, thread: str) -> str:
    body = {"assistant_id": "talk", "input": {"messages": []}, "stream_mode": "values"}
    answer = await api.post(f"{thread}/runs/wait", json=body)
    assert answer.status_code == 200, answer.text
    return answer.headers["content-location"].rpartition("/")[2]


async def test_a_watcher_sees_every_run_begin_speak_and_end(database_url: str) -> None:
    async with serving(graphs(asyncio.Event()), database_url) as api:
        thread = await made(api)
        watching = asyncio.create_task(told(api, thread, 4, after="-", stream_mode="lifecycle"))
        runs = [await talk(api, thread) for _ in range(2)]
        seen = await watching
        assert [(data["run_id"], data.get("status")) for _, data, _ in seen] == [
            (run, status) for run in runs for status in (None, "run_done")
        ]
        everything = await told(api, thread, 4, after="-")
        assert [name for name, _, _ in everything][:2] == ["metadata", "values"]
        again = await told(api, thread, 2, after=seen[1][2], stream_mode="lifecycle")
        assert again == seen[2:]


async def test_a_watcher_sees_a_change_by_hand(database_url: str) -> None:
    async with serving(graphs(asyncio.Event()), database_url) as api:
        thread = await made(api)
        await talk(api, thread)
        watching = asyncio.create_task(told(api, thread, 1, stream_modes="state_update"))
        await asyncio.sleep(0.3)
        written = await api.post(
            f"{thread}/state", json={"values": {"messages": [{"role": "user", "content": "hand"}]}}
        )
        ((name, data, _),) = await watching
        assert (name, data["thread_id"]) == ("state_update", thread.rpartition("/")[2])
        assert data["state"]["checkpoint"]["checkpoint_id"] == written.json()["checkpoint_id"]
        assert data["state"]["values"]["messages"][-1]["content"] == "hand"


@pytest.mark.parametrize(("query", "headers"), [({"stream_mode": "all"}, {}), ({}, {"last-event-id": "x"})])
async def test_nonsense_is_refused(database_url: str, query: Any, headers: Any) -> None:
    async with serving(graphs(asyncio.Event()), database_url) as api:
        thread = await made(api)
        answer = await api.get(f"{thread}/stream", params=query, headers=headers)
        assert (answer.status_code, isinstance(answer.json()["detail"], str)) == (422, True)
