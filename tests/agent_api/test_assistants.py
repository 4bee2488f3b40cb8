"""Assistants over HTTP: wire-equal to `langgraph dev` where that is sane, and somebody's own."""

from __future__ import annotations

import itertools
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest
from langgraph.graph import END, START, StateGraph
from langgraph_sdk.client import AssistantsClient, HttpClient
from typing_extensions import TypedDict

from codelab.runtime.graphs.registry import system_assistant_id
from tests.agent_api.people import people

FIELDS = {
    "assistant_id", "graph_id", "config", "context", "metadata", "name", "created_at", "updated_at", "version",
    "description",
}  # fmt: skip


class State(TypedDict, total=False):
    text: str


def build(**options):
    graph = StateGraph(State)
    graph.add_node("say", lambda _state: {"text": "hello"})
    graph.add_edge(START, "say")
    graph.add_edge("say", END)
    return graph.compile(**options)


@pytest.fixture
async def api(database_url):
    async with people({"alpha": build(), "beta": build(name="the second")}, database_url) as (_agent, user):
        yield user


async def made(api, **sent):
    answer = await api().post("/assistants", json={"graph_id": "alpha", **sent})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def search(api, user="alice", **asked):
    answer = await api(user).post("/assistants/search", json=asked)
    assert answer.status_code == 200, answer.text
    return answer


async def names(api, user="alice", **asked):
    return [each["name"] for each in (await search(api, user, **asked)).json()]


async def test_an_assistant_lives(api):
    one = await made(api, name="one", metadata={"a": 1}, description="d")
    assert set(one) == FIELDS
    assert (one["version"], one["config"], one["context"], one["metadata"]) == (1, {}, {}, {"a": 1})
    path = f"/assistants/{one['assistant_id']}"
    assert (await api().get(path)).json() == one
    changed = (await api().patch(path, json={"metadata": {"b": 2}, "graph_id": "beta"})).json()
    assert (changed["version"], changed["metadata"], changed["graph_id"], changed["name"]) == (
        2, {"a": 1, "b": 2}, "beta", "one",
    )  # fmt: skip
    assert (await api().delete(path)).status_code == 204
    assert (await api().get(path)).status_code == 404
    assert (await api().delete(path)).status_code == 404


async def test_the_default_name_and_a_chosen_id(api):
    chosen = str(uuid4())
    assert (await made(api, assistant_id=chosen.upper()))["assistant_id"] == chosen
    taken = await api().post("/assistants", json={"graph_id": "alpha", "assistant_id": chosen})
    assert (taken.status_code, taken.json()) == (409, {"detail": f"Assistant {chosen} already exists"})
    same = await made(api, assistant_id=chosen, if_exists="do_nothing", name="other")
    assert same["name"] == "Untitled"


@pytest.mark.parametrize(
    ("sent", "config", "context"),
    [
        ({"config": {"configurable": {"a": 1}, "tags": ["x"]}}, {"configurable": {"a": 1}, "tags": ["x"]}, {"a": 1}),
        ({"context": {"b": 1}}, {"configurable": {"b": 1}}, {"b": 1}),
        ({"config": {"tags": ["x"]}}, {"tags": ["x"]}, {}),
        ({"config": None, "context": None, "metadata": None, "name": None, "if_exists": None}, {}, {}),
    ],
)
async def test_configurable_and_context_mirror_each_other(api, sent, config, context):
    one = await made(api, **sent)
    assert (one["config"], one["context"]) == (config, context)
    path = f"/assistants/{one['assistant_id']}"
    changed = (await api().patch(path, json={"context": {"c": 2}})).json()
    assert changed["context"] == changed["config"]["configurable"] == {"c": 2}


async def test_configurable_and_context_at_once_are_refused(api):
    both = {"config": {"configurable": {"a": 1}}, "context": {"b": 1}}
    answer = await api().post("/assistants", json={"graph_id": "alpha", **both})
    assert (answer.status_code, "Cannot specify both" in answer.json()["detail"]) == (400, True)
    one = await made(api)
    assert (await api().patch(f"/assistants/{one['assistant_id']}", json=both)).status_code == 400
    assert (await api().get(f"/assistants/{one['assistant_id']}")).json() == one


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        ({"graph_id": "nope"}, 404),
        ({"graph_id": "alpha", "assistant_id": "zzz"}, 422),
        ({}, 422),
        ({"graph_id": "alpha", "if_exists": "maybe"}, 422),
        ({"graph_id": "alpha", "config": {"configurable": 7}}, 422),
        ({"graph_id": "alpha", "metadata": []}, 422),
    ],
)
async def test_what_cannot_be_made_is_refused_with_a_sentence(api, sent, status):
    answer = await api().post("/assistants", json=sent)
    assert (answer.status_code, list(answer.json())) == (status, ["detail"])
    assert isinstance(answer.json()["detail"], str)


async def test_a_body_is_json_whatever_its_type_says(api):
    answer = await api().post(
        "/assistants/search", content='{"metadata": {"created_by": "system"}}', headers={"content-type": "text/plain"}
    )
    assert [each["name"] for each in answer.json()] == ["the second", "alpha"] or len(answer.json()) == 2
    bad = await api().post("/assistants", content="{bad")
    assert bad.status_code == 422


async def test_versions_are_kept_and_restored_whole(api):
    one = await made(api, name="first", metadata={"a": 1})
    path = f"/assistants/{one['assistant_id']}"
    await api().patch(path, json={"name": "second", "context": {"x": 2}, "graph_id": "beta"})
    listed = (await api().post(f"{path}/versions", json={})).json()
    assert [(each["version"], each["name"], each["graph_id"]) for each in listed] == [
        (2, "second", "beta"),
        (1, "first", "alpha"),
    ]
    assert set(listed[0]) == FIELDS - {"updated_at"}
    assert len((await api().post(f"{path}/versions", json={"limit": 1, "offset": 1})).json()) == 1
    assert (await api().post(f"{path}/versions", json={"metadata": {"a": 2}})).json() == []

    back = (await api().post(f"{path}/latest", json={"version": 1})).json()
    assert {**back, "updated_at": ""} == {**one, "updated_at": ""}
    assert (await api().patch(path, json={})).json()["version"] == 3
    missing = await api().post(f"{path}/latest", json={"version": 99})
    assert (missing.status_code, missing.json()["detail"]) == (
        404,
        f"Version 99 not found for assistant {one['assistant_id']}",
    )


async def test_every_graph_has_an_assistant_that_everybody_sees_and_nobody_changes(api):
    alpha = system_assistant_id("alpha")
    for user in ("alice", "bob"):
        one = (await api(user).get(f"/assistants/{alpha}")).json()
        assert (one["name"], one["graph_id"], one["metadata"]) == ("alpha", "alpha", {"created_by": "system"})
    refused = [
        await api().patch(f"/assistants/{alpha}", json={"name": "mine"}),
        await api().delete(f"/assistants/{alpha}"),
        await api().post(f"/assistants/{alpha}/latest", json={"version": 1}),
    ]
    assert [each.status_code for each in refused] == [403, 403, 403]
    assert (await api().post("/assistants", json={"graph_id": "alpha", "assistant_id": alpha})).status_code == 409
    kept = await made(api, assistant_id=alpha, if_exists="do_nothing")
    assert kept["metadata"] == {"created_by": "system"}
    [version] = (await api().post(f"/assistants/{alpha}/versions", json={})).json()
    assert (version["version"], set(version)) == (1, FIELDS - {"updated_at"})


async def test_somebody_elses_is_not_there(api):
    one = await made(api, name="alice's")
    path = f"/assistants/{one['assistant_id']}"
    bob = api("bob")
    answers = [
        await bob.get(path),
        await bob.patch(path, json={"name": "bob's"}),
        await bob.delete(path),
        await bob.post(f"{path}/versions", json={}),
        await bob.post(f"{path}/latest", json={"version": 1}),
        await bob.get(f"{path}/graph"),
        await bob.get(f"{path}/schemas"),
        await bob.get(f"{path}/subgraphs"),
    ]
    assert {each.status_code for each in answers} == {404}
    taken = await bob.post(
        "/assistants", json={"graph_id": "alpha", "assistant_id": one["assistant_id"], "if_exists": "do_nothing"}
    )
    assert taken.status_code == 409
    assert "alice's" not in await names(api, "bob")
    assert (await api().get(path)).json() == one


async def test_search_merges_sorts_and_pages_both_kinds(api):
    for name in ("a", "Z", "é", "beta", "the second"):
        await made(api, name=name, metadata={"kind": name})
    whole = await names(api, sort_by="name", sort_order="asc", limit=100)
    assert whole == sorted(["a", "Z", "é", "beta", "the second", "alpha", "the second"])
    for sort_by, order in itertools.product(
        ("assistant_id", "graph_id", "name", "created_at", "updated_at"), ("asc", "desc")
    ):
        asked = {"sort_by": sort_by, "sort_order": order, "select": ["assistant_id", sort_by]}
        everything = (await search(api, limit=100, **asked)).json()
        assert [each[sort_by] for each in everything] == sorted(
            (each[sort_by] for each in everything), reverse=order == "desc"
        )
        for limit in (1, 3):
            paged, offset = [], 0
            while offset is not None:
                page = await search(api, limit=limit, offset=offset, **asked)
                paged += page.json()
                assert int(page.headers["x-pagination-total"]) >= len(paged)
                offset = page.headers.get("x-pagination-next")
                offset = int(offset) if offset else None
            assert paged == everything
    assert (await search(api, offset=50)).json() == []


async def test_search_finds_by_metadata_graph_and_name(api):
    await made(api, name="one", metadata={"label": {"x": [1, 2]}, "n": 1})
    await made(api, name="Two%", graph_id="beta")
    assert await names(api, metadata={"label": {"x": [2]}}) == ["one"]
    assert await names(api, metadata={"created_by": "system"}, sort_by="graph_id") == ["the second", "alpha"]
    assert sorted(await names(api, graph_id="beta")) == ["Two%", "the second"]
    assert await names(api, name="two%") == ["Two%"]
    assert await names(api, name="o%e") == []
    unknown = await api().post("/assistants/search", json={"graph_id": "nope"})
    assert unknown.status_code == 404
    counts = [
        (await api().post("/assistants/count", json=asked)).json()
        for asked in ({}, {"graph_id": "beta"}, {"metadata": {"n": 1}}, {"name": "nobody"})
    ]
    assert counts == [4, 2, 1, 0]


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 1001}, {"offset": -1}, {"sort_by": "x"}, {"select": ["x"]}])
async def test_an_impossible_search_is_refused(api, asked):
    assert (await api().post("/assistants/search", json=asked)).status_code == 422


async def test_select_leaves_the_other_fields_out(api):
    found = (await search(api, select=["name", "graph_id"], limit=1)).json()
    assert [set(each) for each in found] == [{"name", "graph_id"}]


async def test_ids_are_uuids_but_for_the_graph(api):
    for path in ("", "/schemas", "/subgraphs"):
        answer = await api().get(f"/assistants/alpha{path}")
        assert (answer.status_code, answer.json()["detail"]) == (422, "Invalid assistant ID: must be a UUID")
        assert (await api().get(f"/assistants/{uuid4()}{path}")).status_code == 404
    assert (await api().get("/assistants/alpha/graph")).status_code == 200
    assert (await api().get("/assistants/nope/graph")).status_code == 422


async def test_deleting_takes_the_threads_along_if_asked(api):
    one, other = await made(api), await made(api)
    threads = []
    for assistant in (one, other, one):
        thread = (await api().post("/threads", json={})).json()["thread_id"]
        threads.append(thread)
        done = await api().post(
            f"/threads/{thread}/runs/wait", json={"assistant_id": assistant["assistant_id"], "input": {"text": "x"}}
        )
        assert done.json()["text"] == "hello"
    await api().delete(f"/assistants/{one['assistant_id']}?delete_threads=true")
    await api().delete(f"/assistants/{other['assistant_id']}")
    assert [(await api().get(f"/threads/{thread}")).status_code for thread in threads] == [404, 200, 404]


async def test_permissions(api):
    reader = api("alice", **{"x-scopes": "assistants:read"})
    assert (await reader.post("/assistants/search", json={})).status_code == 200
    assert (await reader.post("/assistants", json={"graph_id": "alpha"})).status_code == 403
    assert (await api("alice", **{"x-scopes": "threads:read"}).post("/assistants/search", json={})).status_code == 403


async def test_the_sdk(api):
    client = AssistantsClient(HttpClient(api()))
    one = await client.create("alpha", metadata={"label": "sdk"}, name="sdk", context={"a": 1})
    assert (await client.get(one["assistant_id"])) == one
    changed = await client.update(one["assistant_id"], metadata={"label": "changed"})
    assert changed["metadata"] == {"label": "changed"}
    assert [each["assistant_id"] for each in await client.search(metadata={"label": "changed"})] == [
        one["assistant_id"]
    ]
    assert await client.count(metadata={"label": "changed"}) == 1
    versions = await client.get_versions(one["assistant_id"])
    assert [each["version"] for each in versions] == [2, 1]
    assert (await client.set_latest(one["assistant_id"], 1))["metadata"] == {"label": "sdk"}
    paged = await client.search(limit=1, response_format="object")
    assert (len(paged["assistants"]), paged["next"]) == (1, "1")
    assert "say" in [node["id"] for node in (await client.get_graph(one["assistant_id"], xray=True))["nodes"]]
    assert (await client.get_schemas(one["assistant_id"]))["state_schema"]["title"] == "alpha_state"
    assert await client.get_subgraphs(one["assistant_id"], recurse=True) == {}
    await client.delete(one["assistant_id"])
    assert await client.search(metadata={"label": "sdk"}) == []


@asynccontextmanager
async def two_apps(first, second):
    async with people({"alpha": build()}, first) as (_, one), people({"gamma": build()}, second) as (_, two):
        yield one, two


async def test_two_apps_in_one_process_know_nothing_of_each_other(sqlite_url, postgres_url):
    async with two_apps(sqlite_url, postgres_url) as (one, two):
        await made(one, name="first")
        assert sorted(await names(one)) == ["alpha", "first"]
        assert await names(two) == ["gamma"]
        unknown = await two().get(f"/assistants/{system_assistant_id('alpha')}")
        assert unknown.status_code == 404
