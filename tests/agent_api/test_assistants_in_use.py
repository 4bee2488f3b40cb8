"""Assistants where they are used: whose they are on every surface, and several requests at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph.graph import START, StateGraph
from typing_extensions import TypedDict

from codelab.runtime.graphs.registry import system_assistant_id
from codelab.store.texts import clean_text
from tests.agent_api.people import Clients, people

UNKNOWN = (404, {"detail": "Thread or assistant not found."})


class Unreadable:
    """Nothing that pydantic knows."""


class State(TypedDict, total=False):
    text: str
    thing: Unreadable


def graph() -> Any:
    return StateGraph(State).add_node("say", lambda _state: {"text": "hello"}).add_edge(START, "say").compile()


@pytest.fixture
async def user(database_url: str) -> AsyncIterator[Clients]:
    async with people({"alpha": graph()}, database_url) as (_agent, clients):
        yield clients


async def make(api: httpx.AsyncClient, **sent: Any) -> dict[str, Any]:
    answer = await api.post("/assistants", json={"graph_id": "alpha", **sent})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def tools(api: httpx.AsyncClient) -> list[str]:
    sent = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accept = {"accept": "application/json, text/event-stream"}
    return [tool["title"] for tool in (await api.post("/mcp", json=sent, headers=accept)).json()["result"]["tools"]]


async def test_nobody_runs_somebody_elses_assistant(user: Clients) -> None:
    theirs = (await make(user(), name="alice's"))["assistant_id"]
    bob = user("bob")
    thread = (await bob.post("/threads", json={})).json()["thread_id"]
    for named in (theirs, str(uuid4())):
        asked = {"assistant_id": named, "input": {}}
        for path in ("/runs", "/runs/wait", "/runs/stream", f"/threads/{thread}/runs", f"/threads/{thread}/runs/wait"):
            answer = await bob.post(path, json=asked)
            assert (answer.status_code, answer.json()) == UNKNOWN, path
        assert (await bob.post("/runs/crons", json={**asked, "schedule": "0 0 1 1 *"})).status_code == 404
        command = {"id": 1, "method": "run.start", "params": asked}
        said = (await bob.post(f"/threads/{thread}/commands", json=command)).json()
        assert (said["type"], "not found" in said["message"]) == ("error", True)
    assert (await bob.get(f"/threads/{thread}/runs")).json() == []
    assert "alice's" in await tools(user())
    assert "alice's" not in await tools(bob)


async def test_an_id_is_read_in_any_form(user: Clients) -> None:
    made = (await make(user()))["assistant_id"]
    for assistant_id in (made, system_assistant_id("alpha")):
        for form in (assistant_id.upper(), assistant_id.replace("-", "")):
            assert (await user().get(f"/assistants/{form}")).json()["assistant_id"] == assistant_id
            answer = await user().post("/runs/wait", json={"assistant_id": form, "input": {}})
            assert answer.json()["text"] == "hello"


async def test_a_run_outlives_its_assistant(user: Clients) -> None:
    api = user()
    made = (await make(api))["assistant_id"]
    thread = (await api.post("/threads", json={})).json()["thread_id"]
    asked = {"assistant_id": made, "input": {}, "after_seconds": 1}
    run = (await api.post(f"/threads/{thread}/runs", json=asked)).json()["run_id"]
    assert (await api.delete(f"/assistants/{made}")).status_code == 204
    assert (await api.get(f"/threads/{thread}/runs/{run}/join")).json()["text"] == "hello"
    again = await api.post(f"/threads/{thread}/runs", json=asked)
    assert (again.status_code, again.json()) == UNKNOWN


async def test_changes_at_once_are_versions_one_after_the_other(user: Clients) -> None:
    api = user()
    path = f"/assistants/{(await make(api))['assistant_id']}"
    answers = await asyncio.gather(*(api.patch(path, json={"metadata": {f"k{n}": n}}) for n in range(8)))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(2, 10))
    newest = (await api.get(path)).json()
    assert (newest["version"], newest["metadata"]) == (9, {f"k{n}": n for n in range(8)})
    assert len((await api.post(f"{path}/versions", json={"limit": 100})).json()) == 9


async def test_of_assistants_made_at_once_with_one_id_there_is_one(user: Clients) -> None:
    sent = {"graph_id": "alpha", "assistant_id": str(uuid4())}
    answers = await asyncio.gather(*(user().post("/assistants", json={**sent, "name": str(n)}) for n in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 5
    kept = await asyncio.gather(*(user().post("/assistants", json={**sent, "if_exists": "do_nothing"}) for _ in "123"))
    [winner] = [answer.json() for answer in answers if answer.status_code == 200]
    assert [answer.json() for answer in kept] == [winner] * 3


async def test_any_text_is_kept_as_it_was_sent(user: Clients) -> None:
    api = user()
    value = {"text": "nul \x00, emoji 😀, quote ' \" \\u0000"}
    made = await make(api, metadata=value, config={"tags": ["t"], "own": value}, context=value)
    assert (made["metadata"], made["config"]["own"], made["context"]) == (value, value, value)
    found = (await api.post("/assistants/search", json={"metadata": value})).json()
    assert [each["assistant_id"] for each in found] == [made["assistant_id"]]


@pytest.mark.parametrize("path", ["/assistants", "/assistants/search", "/assistants/count"])
async def test_half_a_character_is_refused(user: Clients, path: str) -> None:
    answer = await user().post(path, content='{"graph_id": "alpha", "name": "lone \\ud800"}')
    assert (answer.status_code, list(answer.json())) == (422, ["detail"])


async def test_a_name_is_kept_without_what_no_database_takes(user: Clients) -> None:
    named = {"name": "nul \x00"}
    made = await make(user(), **named)
    assert made["name"] == clean_text(named["name"])
    assert (await user().post("/assistants/search", json=named)).json() == [made]


async def test_a_schema_that_cannot_be_made_is_null_and_the_rest_is_told(user: Clients) -> None:
    path = f"/assistants/{system_assistant_id('alpha')}"
    answer = await user().get(f"{path}/schemas")
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["graph_id"], told["input_schema"], told["output_schema"]) == ("alpha", None, None)
    assert set(told["state_schema"]["properties"]) == {"text", "thing"}
    assert (await user().get(f"{path}/graph")).status_code == 200
    assert (await user().get(f"{path}/subgraphs?recurse=true")).json() == {}
    assert await tools(user()) == ["alpha"]
