"""What an assistant is configured with, and what a run says beside it: as `langgraph dev` merges them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph_sdk.runtime import ServerRuntime
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from tests.agent_api.people import people

ADDRESSES = {"thread_id", "run_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map"}
SERVERS = ADDRESSES | {"graph_id", "assistant_id", "user_id", "cron_id"}


class State(TypedDict, total=False):
    told: Any
    context: Any
    tags: Any


class Typed(TypedDict, total=False):
    a: int


@dataclass
class Data:
    a: int = 0


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")
    a: int = Field(0, alias="alpha")


def look(_state: State, config: RunnableConfig, runtime: Runtime[Any]) -> State:
    context = runtime.context
    seen = {k: v for k, v in config["configurable"].items() if k not in SERVERS and not k.startswith(("__", "langg"))}
    shown = context if isinstance(context, dict | None) else repr(context)
    return {"told": seen, "context": shown, "tags": config.get("tags")}


def graph(context: Any = None) -> Any:
    return StateGraph(State, context_schema=context).add_node("look", look).add_edge(START, "look").compile()


def factory(runtime: ServerRuntime[Data]) -> Any:
    told = runtime.execution_runtime
    built = Data(told.context.a) if told is not None and told.context else None

    def tell(_state: State) -> State:
        return {"context": repr(built)}

    return StateGraph(State).add_node("tell", tell).add_edge(START, "tell").compile()


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    graphs = {
        "plain": graph(), "typed": graph(Typed), "data": graph(Data), "strict": graph(Strict), "made": factory,
    }  # fmt: skip
    async with people(graphs, database_url) as (_agent, user):
        yield user()


async def assistant(api: httpx.AsyncClient, graph_id: str = "plain", **configured: Any) -> str:
    answer = await api.post("/assistants", json={"graph_id": graph_id, **configured})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["assistant_id"])


async def run(api: httpx.AsyncClient, assistant_id: str, **said: Any) -> dict[str, Any]:
    answer = await api.post("/runs/wait", json={"assistant_id": assistant_id, "input": {}, **said})
    assert answer.status_code == 200, answer.text
    values: dict[str, Any] = answer.json()
    assert "__error__" not in values, values
    return values


@pytest.mark.parametrize("configured", [{"config": {"configurable": {"a": 1, "b": 1}}}, {"context": {"a": 1, "b": 1}}])
@pytest.mark.parametrize("said", [{"config": {"configurable": {"a": 2, "c": 2}}}, {"context": {"a": 2, "c": 2}}])
async def test_whichever_way_it_is_said_the_graph_reads_it_either_way(
    api: httpx.AsyncClient, configured: dict[str, Any], said: dict[str, Any]
) -> None:
    named = await assistant(api, **configured)
    seen = await run(api, named)
    assert seen["told"] == seen["context"] == {"a": 1, "b": 1}
    seen = await run(api, named, **said)
    assert seen["told"] == seen["context"] == {"a": 2, "b": 1, "c": 2}
    seen = await run(api, "plain", **said)
    assert seen["told"] == seen["context"] == {"a": 2, "c": 2}


async def test_tags_are_replaced_and_the_rest_stays(api: httpx.AsyncClient) -> None:
    named = await assistant(api, config={"tags": ["theirs"], "configurable": {"a": 1}})
    assert (await run(api, named))["tags"] == ["theirs"]
    seen = await run(api, named, config={"tags": ["run"]})
    assert (seen["tags"], seen["context"]) == (["run"], {"a": 1})


async def test_a_later_version_is_what_later_runs_are_of(api: httpx.AsyncClient) -> None:
    named = await assistant(api, context={"a": 1})
    await api.patch(f"/assistants/{named}", json={"context": {"a": 2}})
    assert (await run(api, named))["told"] == {"a": 2}
    await api.post(f"/assistants/{named}/latest", json={"version": 1})
    assert (await run(api, named))["told"] == {"a": 1}


@pytest.mark.parametrize("where", ["config", "context"])
@pytest.mark.parametrize(
    ("graph_id", "name", "shown"),
    [
        ("typed", "a", {"a": 2, "other": 1}),
        ("data", "a", "Data(a=2)"),
        ("strict", "alpha", "Strict(a=2)"),
        ("made", "a", "Data(a=2)"),
    ],
)
async def test_a_context_class_gets_what_it_has_fields_for(
    api: httpx.AsyncClient, graph_id: str, name: str, shown: Any, where: str
) -> None:
    sent = {name: 2, "other": 1}
    said = {"context": sent} if where == "context" else {"config": {"configurable": sent}}
    assert (await run(api, graph_id, **said))["context"] == shown


BOTH: dict[str, Any] = {"config": {"configurable": {"a": 1}}, "context": {"b": 1}}


async def test_both_at_once_are_refused_wherever_a_run_is_asked_for(api: httpx.AsyncClient) -> None:
    thread = (await api.post("/threads", json={})).json()["thread_id"]
    asked = {"assistant_id": "plain", "input": {}, **BOTH}
    tick = {**asked, "schedule": "0 0 1 1 *"}
    for path, sent in {
        "/runs": asked,
        "/runs/wait": asked,
        "/runs/stream": asked,
        f"/threads/{thread}/runs": asked,
        f"/threads/{thread}/runs/wait": asked,
        f"/threads/{thread}/runs/stream": asked,
        "/runs/crons": tick,
    }.items():
        answer = await api.post(path, json=sent)
        assert (answer.status_code, "Cannot specify both" in answer.json()["detail"]) == (400, True), path
    assert (await api.get(f"/threads/{thread}/runs")).json() == []
    assert (await api.get(f"/threads/{thread}")).json()["status"] == "idle"


async def test_where_a_run_goes_on_is_no_configuration(api: httpx.AsyncClient) -> None:
    thread = (await api.post("/threads", json={})).json()["thread_id"]
    path, asked = f"/threads/{thread}/runs/wait", {"assistant_id": "data", "input": {}}
    await api.post(path, json=asked)
    checkpoint = (await api.get(f"/threads/{thread}/state")).json()["checkpoint"]
    at = {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": checkpoint["checkpoint_id"]}
    forked = await api.post(path, json={**asked, "config": {"configurable": at}, "context": {"a": 7}})
    assert (forked.json()["context"], forked.json()["told"]) == ("Data(a=7)", {"a": 7})
    history = (await api.get(f"/threads/{thread}/history?limit=20")).json()
    parents = [each["parent_checkpoint"]["checkpoint_id"] for each in history if each["parent_checkpoint"]]
    assert parents.count(checkpoint["checkpoint_id"]) == 1
    plain = await run(
        api, "plain", config={"configurable": {"thread_id": "elsewhere", "langgraph_auth_user_id": "eve"}}
    )
    assert plain["context"] in ({}, None)


async def test_a_cron_with_a_context_can_be_made(api: httpx.AsyncClient) -> None:
    sent = {"assistant_id": "plain", "schedule": "0 0 1 1 *", "input": {}, "context": {"a": 1}}
    answer = await api.post("/runs/crons", json=sent)
    assert answer.status_code == 200, answer.text
    changed = await api.patch(f"/runs/crons/{answer.json()['cron_id']}", json={"context": {"a": 2}})
    assert changed.status_code == 200, changed.text


@pytest.mark.parametrize(
    "config",
    [
        {"configurable": 7},
        {"configurable": None},
        {"configurable": ["a"]},
        {"tags": 7},
        {"tags": [7]},
        {"metadata": 7},
        {"recursion_limit": "many"},
    ],
)
async def test_a_config_of_the_wrong_shape_is_refused(api: httpx.AsyncClient, config: Any) -> None:
    thread = (await api.post("/threads", json={})).json()["thread_id"]
    asked = {"assistant_id": "plain", "input": {}, "config": config}
    for path in ("/runs/wait", "/runs/stream", f"/threads/{thread}/runs"):
        answer = await api.post(path, json=asked)
        assert (answer.status_code, list(answer.json())) == (422, ["detail"]), path
    command = {"id": 1, "method": "run.start", "params": asked}
    answer = await api.post(f"/threads/{thread}/commands", json=command)
    assert (answer.status_code, answer.json()["type"], answer.json()["error"]) == (200, "error", "invalid_argument")
    made = await api.post("/assistants", json={"graph_id": "plain", "config": config})
    assert made.status_code == 422, made.text


async def test_a_run_of_the_thread_protocol_is_configured_too(api: httpx.AsyncClient) -> None:
    named = await assistant(api, "data", context={"a": 1})
    thread = (await api.post("/threads", json={})).json()["thread_id"]
    params = {"assistant_id": named, "input": {}, "config": {"configurable": {"a": 3}}}
    started = await api.post(f"/threads/{thread}/commands", json={"id": 1, "method": "run.start", "params": params})
    run_id = started.json()["result"]["run_id"]
    await api.get(f"/threads/{thread}/runs/{run_id}/join")
    values = (await api.get(f"/threads/{thread}/state")).json()["values"]
    assert (values["context"], values["told"]) == ("Data(a=3)", {"a": 3})
