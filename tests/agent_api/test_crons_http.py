"""The routes of crons, call by call as `langgraph dev` answers them, and through the SDK."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, TypedDict
from uuid import uuid4

import httpx
import pytest
from langgraph.graph import START, StateGraph
from langgraph_sdk.client import LangGraphClient

from codelab.core.types import Principal
from codelab.runtime.agent import AgentRuntime
from codelab.runtime.graphs.registry import system_assistant_id
from codelab.runtime.threads.repository import new_thread
from tests.agent_api.people import Clients, people

CRONS = "/runs/crons"
YEARLY = {"assistant_id": "agent", "schedule": "0 0 1 1 *"}
AGENT = system_assistant_id("agent")


class State(TypedDict, total=False):
    value: str


@pytest.fixture
async def served(database_url: str) -> AsyncIterator[tuple[AgentRuntime, Clients]]:
    graph = StateGraph(State).add_node("node", lambda state: state).add_edge(START, "node").compile()
    async with people({"agent": graph}, database_url) as opened:
        yield opened


@pytest.fixture
def server(served: tuple[AgentRuntime, Clients]) -> httpx.AsyncClient:
    return served[1]()


@pytest.fixture
async def thread_id(served: tuple[AgentRuntime, Clients]) -> str:
    row = new_thread(Principal("alice"))
    async with served[0].database.transaction() as session:
        session.add(row)
    return row.id


async def made(server: httpx.AsyncClient, path: str = CRONS, **more: Any) -> dict[str, Any]:
    answer = await server.post(path, json=YEARLY | more)
    assert answer.status_code == 200, answer.text
    cron: dict[str, Any] = answer.json()
    return cron


async def test_a_cron_on_the_wire(server: httpx.AsyncClient, thread_id: str) -> None:
    cron = await made(server, input={"value": "x"}, metadata={"m": 1}, end_time="2027-03-01T00:00:00", foo=1)
    assert set(cron) == {
        *("cron_id", "assistant_id", "thread_id", "user_id", "end_time", "schedule", "timezone", "payload"),
        *("next_run_date", "metadata", "on_run_completed", "enabled", "created_at", "updated_at"),
    }
    assert (cron["assistant_id"], cron["thread_id"], cron["on_run_completed"]) == (AGENT, None, "delete")
    assert datetime.fromisoformat(cron["next_run_date"]) == datetime(utc_year() + 1, 1, 1, tzinfo=UTC)
    assert (await server.get(f"{CRONS}/{cron['cron_id']}")).json() == cron
    on_thread = await made(server, f"/threads/{thread_id}/runs/crons", on_run_completed="delete")
    assert (on_thread["thread_id"], on_thread["on_run_completed"]) == (thread_id, None)
    gone = await server.delete(f"{CRONS}/{cron['cron_id']}")
    assert (gone.status_code, gone.content, gone.headers.get("content-type")) == (204, b"", None)
    assert (await server.delete(f"{CRONS}/{cron['cron_id']}")).status_code == 404


def utc_year() -> int:
    return datetime.now(UTC).year


@pytest.mark.parametrize(
    ("sent", "status", "says"),
    [
        ({"schedule": None}, 422, "schedule"),
        ({"assistant_id": None}, 422, "assistant_id"),
        ({"assistant_id": "nope"}, 404, "Assistant 'nope' not found"),
        ({"schedule": "bad"}, 422, "Invalid cron schedule: 'bad'"),
        ({"schedule": "61 * * * *"}, 422, "Invalid cron schedule"),
        ({"schedule": "0 0 31 2 *"}, 400, "no date"),
        ({"schedule": "*," * 200}, 422, "schedule"),
        ({"timezone": "Mars/X"}, 422, "Invalid timezone: 'Mars/X'"),
        ({"end_time": "zz"}, 422, "end_time"),
        ({"on_run_completed": "zz"}, 422, "on_run_completed"),
        ({"multitask_strategy": "zz"}, 422, "multitask_strategy"),
        ({"webhook": "https://example.com/"}, 422, "CODELAB_WEBHOOKS__ENABLED"),
    ],
)
async def test_refusals(server: httpx.AsyncClient, sent: dict[str, Any], status: int, says: str) -> None:
    answer = await server.post(CRONS, json=YEARLY | sent)
    assert (answer.status_code, set(answer.json())) == (status, {"detail"})
    assert says in answer.json()["detail"]


async def test_ids_that_are_none(server: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", f"{CRONS}/{uuid4()}", 404),
        ("GET", f"{CRONS}/nope", 422),
        ("DELETE", f"{CRONS}/nope", 422),
        ("PATCH", f"{CRONS}/{uuid4()}", 404),
        ("POST", f"/threads/{uuid4()}/runs/crons", 404),
        ("POST", "/threads/nope/runs/crons", 422),
    ):
        answer = await server.request(method, path, json=YEARLY if method == "POST" else {"enabled": False})
        assert (answer.status_code, set(answer.json())) == (status, {"detail"}), path
    for sent in ({"assistant_id": "nope"}, {"thread_id": "nope"}):
        assert (await server.post(f"{CRONS}/search", json=sent)).status_code == 422
        assert (await server.post(f"{CRONS}/count", json=sent)).status_code == 422


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({}, 400),
        ({"schedule": "bad"}, 422),
        ({"timezone": None}, 422),
        ({"timezone": "bad"}, 422),
        ({"enabled": None}, 422),
        ({"end_time": None}, 200),
        ({"assistant_id": "other", "thread_id": "x", "enabled": True}, 200),
    ],
)
async def test_changes(server: httpx.AsyncClient, sent: dict[str, Any], status: int) -> None:
    cron = await made(server)
    answer = await server.patch(f"{CRONS}/{cron['cron_id']}", json=sent)
    assert answer.status_code == status
    if status == 200:
        assert (answer.json()["assistant_id"], answer.json()["thread_id"]) == (AGENT, None)


async def test_pages(server: httpx.AsyncClient) -> None:
    ids = [(await made(server))["cron_id"] for _ in range(3)]
    page = await server.post(f"{CRONS}/search", json={"limit": 2, "select": ["cron_id"]})
    assert page.json() == [{"cron_id": ids[2]}, {"cron_id": ids[1]}]
    assert (page.headers["x-pagination-total"], page.headers["x-pagination-next"]) == ("3", "2")
    last = await server.post(f"{CRONS}/search", json={"limit": 2, "offset": 2})
    assert (last.headers["x-pagination-total"], last.headers.get("x-pagination-next")) == ("3", None)
    assert (await server.post(f"{CRONS}/count", json={})).json() == 3
    for wrong in ({"limit": 0}, {"limit": 1001}, {"offset": -1}, {"select": ["zzz"]}, {"sort_by": "schedule"}):
        assert (await server.post(f"{CRONS}/search", json=wrong)).status_code == 422


async def test_crons_are_their_owners(served: tuple[AgentRuntime, Clients]) -> None:
    alice, bob = served[1]("alice"), served[1]("bob")
    cron = await made(alice)
    for method in ("GET", "PATCH", "DELETE"):
        answer = await bob.request(method, f"{CRONS}/{cron['cron_id']}", json={"enabled": False})
        assert answer.status_code == 404
    assert (await bob.post(f"{CRONS}/search", json={})).json() == []
    assert (await bob.post(f"{CRONS}/count", json={})).json() == 0
    reader = served[1]("alice", **{"x-scopes": "crons:read"})
    assert (await reader.get(f"{CRONS}/{cron['cron_id']}")).status_code == 200
    assert (await reader.post(CRONS, json=YEARLY)).status_code == 403
    assert (await reader.delete(f"{CRONS}/{cron['cron_id']}")).status_code == 403


async def test_through_the_sdk(server: httpx.AsyncClient, thread_id: str) -> None:
    sdk = LangGraphClient(server).crons
    one: Any = await sdk.create(
        "agent", schedule="0 0 1 1 *", input={"value": "x\x00"}, metadata={"label": "a", "\x00": 1}
    )
    two: Any = await sdk.create_for_thread(
        thread_id, "agent", schedule="0 9 * * *", timezone="Europe/Berlin", end_time=datetime(2100, 1, 1, tzinfo=UTC)
    )
    found = await sdk.search(limit=20)
    assert {cron["cron_id"] for cron in found} == {one["cron_id"], two["cron_id"]}
    assert [c["cron_id"] for c in await sdk.search(metadata={"label": "a"})] == [one["cron_id"]]
    assert [c["cron_id"] for c in await sdk.search(thread_id=thread_id, select=["cron_id"])] == [two["cron_id"]]
    assert await sdk.count(assistant_id=AGENT) == 2
    assert await sdk.count(thread_id=thread_id.upper(), metadata={"nul\x00": "x"}) == 0
    assert await sdk.count(thread_id=thread_id.upper()) == 1
    changed = await sdk.update(two["cron_id"], schedule="0 10 * * *", enabled=False, end_time=None)
    assert (changed["schedule"], changed["enabled"], changed["end_time"]) == ("0 10 * * *", False, None)
    await sdk.delete(one["cron_id"])
    assert await sdk.count() == 1
