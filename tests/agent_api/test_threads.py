"""Threads on the wire: made, looked at, changed, found, counted. As `langgraph dev` answers them."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from tests.agent_api.thread_graphs import got, made, sent

MEMBERS = {"thread_id", "created_at", "updated_at", "state_updated_at", "metadata", "status", "config", "values"}


async def test_a_new_thread(api: httpx.AsyncClient) -> None:
    thread = await sent(api, "/threads", {"metadata": {"a": {"b": [1]}}, "config": {"tags": ["t"]}, "surprise": 1})
    assert set(thread) == {*MEMBERS, "error", "interrupts"}
    assert thread["metadata"] == {"a": {"b": [1]}}
    assert thread["config"] == {"tags": ["t"]}
    assert (thread["status"], thread["values"], thread["interrupts"], thread["error"]) == ("idle", None, {}, None)
    assert thread["created_at"] == thread["updated_at"] == thread["state_updated_at"]
    assert await got(api, f"/threads/{thread['thread_id']}") == thread


async def test_an_id_of_the_clients(api: httpx.AsyncClient) -> None:
    name = str(uuid4())
    first = await sent(api, "/threads", {"thread_id": name.upper(), "metadata": {"a": 1}})
    assert first["thread_id"] == name
    taken = await sent(api, "/threads", {"thread_id": name}, status=409)
    assert taken == {"detail": f"Thread with ID {name} already exists"}
    again = await sent(api, "/threads", {"thread_id": name, "if_exists": "do_nothing", "metadata": {"b": 2}})
    assert again == first
    assert (await got(api, f"/threads/{name.upper()}"))["thread_id"] == name


async def test_the_graph_of_a_thread_can_be_named_at_once(api: httpx.AsyncClient) -> None:
    thread = await sent(api, "/threads", {"graph_id": "ask", "metadata": {"a": 1}})
    assert thread["metadata"] == {"a": 1, "graph_id": "ask"}


@pytest.mark.parametrize(
    "body",
    [
        {"if_exists": "bad"},
        {"metadata": [1]},
        {"thread_id": "nope"},
        {"ttl": 5},
        {"ttl": {"ttl": 0}},
        {"ttl": {"ttl": 5, "strategy": "bad"}},
        {"ttl": {"strategy": "delete"}},
        {"supersteps": "x"},
        [],
    ],
)
async def test_a_thread_is_refused(api: httpx.AsyncClient, body: Any) -> None:
    answer = await sent(api, "/threads", body, status=422)
    assert set(answer) == {"detail"}
    assert isinstance(answer["detail"], str)


async def test_a_thread_after_runs(api: httpx.AsyncClient) -> None:
    asking = await got(api, await made(api, "ask", metadata={"mine": 1}))
    assert asking["status"] == "interrupted"
    assert asking["values"] == {"log": ["in", "first"], "n": 1}
    [[question]] = asking["interrupts"].values()
    assert question == {"id": question["id"], "value": {"q": "ok?"}}
    assert asking["metadata"].keys() == {"mine", "graph_id", "assistant_id"}
    assert asking["state_updated_at"] > asking["created_at"]
    failed = await got(api, await made(api, "fail"))
    assert failed["status"] == "error"
    assert failed["error"] == {"error": "ValueError", "message": "boom"}
    assert failed["values"] == {"log": ["in"]}
    talked = await got(api, await made(api, "talk", sent={"messages": [{"role": "user", "content": "hi"}]}))
    assert talked["status"] == "idle"
    assert [(m["type"], m["content"]) for m in talked["values"]["messages"]] == [("human", "hi"), ("ai", "hello")]


async def test_a_change_merges_the_top_level_of_metadata(api: httpx.AsyncClient) -> None:
    thread = await made(api, metadata={"a": {"x": 1}, "b": 2})
    changed = (await api.patch(thread, json={"metadata": {"a": {"y": 1}, "c": None}, "values": {"z": 1}})).json()
    assert changed["metadata"] == {"a": {"y": 1}, "b": 2, "c": None}
    assert changed["updated_at"] > changed["created_at"] == changed["state_updated_at"]
    minimal = await api.patch(thread, json={"metadata": {"d": 4}}, headers={"prefer": "return=minimal"})
    assert (minimal.status_code, minimal.content) == (204, b"")
    assert (await got(api, thread))["metadata"]["d"] == 4


async def test_bodies_of_any_content_type(api: httpx.AsyncClient) -> None:
    plain = {"content-type": "text/plain;charset=UTF-8"}
    assert (await api.post("/threads/search", content=b'{"limit": 1}', headers=plain)).status_code == 200
    assert (await api.post("/threads", content=b"{bad")).status_code == 422


async def found(api: httpx.AsyncClient, names: dict[str, str], **asked: Any) -> str:
    """A search's answer as the threads' letters."""
    return "".join(names[f"/threads/{one['thread_id']}"] for one in await sent(api, "/threads/search", asked))


@pytest.fixture
async def names(api: httpx.AsyncClient) -> dict[str, str]:
    """`a` never ran, `b` asks, `c` failed; last changed in that order."""
    deep = {"p": 1, "q": [1, {"r": 2}]}
    threads = [
        await made(api, metadata={"x": 1, "o": deep}),
        await made(api, "ask", metadata={"x": 2}, sent={"log": ["in"], "obj": {"a": 1, "b": [1, 2]}}),
        await made(api, "fail", metadata={"x": 3}),
    ]
    return dict(zip(threads, "abc", strict=True))


async def test_a_page_and_its_headers(api: httpx.AsyncClient, names: dict[str, str]) -> None:
    for offset, total, following in ((0, "2", "1"), (1, "3", "2"), (2, "3", None)):
        answer = await api.post("/threads/search", json={"limit": 1, "offset": offset})
        assert answer.headers["x-pagination-total"] == total
        assert answer.headers.get("x-pagination-next") == following
        [one] = answer.json()
        assert names[f"/threads/{one['thread_id']}"] == "cba"[offset]
    beyond = await api.post("/threads/search", json={"offset": 99})
    assert (beyond.json(), beyond.headers["x-pagination-total"]) == ([], "99")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "cba"),
        ({"status": "interrupted"}, "b"),
        ({"status": "busy"}, ""),
        ({"metadata": {"x": 2}}, "b"),
        ({"metadata": {"x": "2"}}, ""),
        ({"metadata": {"o": {"p": 1}}}, "a"),
        ({"metadata": {"o": {}}}, "a"),
        ({"metadata": {"nokey": None}}, ""),
        ({"metadata": {"graph_id": "ask"}}, "b"),
        ({"values": {"n": 1}}, "b"),
        ({"values": {"obj": {"a": 1}}}, "b"),
        ({"values": {"log": ["in"]}}, "cb"),
        ({"values": {"log": ["in"]}, "limit": 1, "offset": 1}, "b"),
        ({"values": {"log": ["in"]}, "status": "error"}, "c"),
        ({"ids": []}, "cba"),
        ({"sort_by": "created_at", "sort_order": "asc"}, "abc"),
        ({"sort_by": "thread_id"}, "cba"),
        ({"sort_by": "status"}, "bac"),
        ({"sort_by": "status", "sort_order": "asc"}, "cab"),
        ({"sort_by": "state_updated_at", "sort_order": "asc"}, "abc"),
        ({"limit": 1000, "metadata": None, "ids": None}, "cba"),
    ],
)
async def test_a_search(api: httpx.AsyncClient, names: dict[str, str], asked: dict[str, Any], expected: str) -> None:
    assert await found(api, names, **asked) == expected
    if not {"limit", "offset"} & set(asked):
        wanted = {key: asked[key] for key in ("metadata", "values", "status") if key in asked}
        assert await sent(api, "/threads/count", wanted) == len(expected)


async def test_a_search_by_ids(api: httpx.AsyncClient, names: dict[str, str]) -> None:
    first, _, last = (thread.removeprefix("/threads/") for thread in names)
    assert await found(api, names, ids=[first, last, str(uuid4())]) == "ca"


@pytest.mark.parametrize(
    "asked",
    [
        {"limit": 0},
        {"limit": 1001},
        {"offset": -1},
        {"status": "bad"},
        {"sort_by": "bad"},
        {"sort_order": "ASC"},
        {"select": ["bad"]},
        {"ids": ["nope"]},
        {"metadata": "x"},
        {"extract": {"one two": "values.n"}},
        {"extract": {"s": "status"}},
        {"extract": {f"a{i}": "values.n" for i in range(11)}},
    ],
)
async def test_a_search_is_refused(api: httpx.AsyncClient, asked: dict[str, Any]) -> None:
    assert set(await sent(api, "/threads/search", asked, status=422)) == {"detail"}


async def test_what_a_search_shows(api: httpx.AsyncClient, names: dict[str, str]) -> None:
    asked = {"select": ["thread_id", "values"], "status": "interrupted"}
    [one] = await sent(api, "/threads/search", asked)
    assert set(one) == {"thread_id", "values"}
    paths = {
        "last": "values.log[-1]",
        "x": "metadata.x",
        "none": "values.nope.x",
        "beyond": "values.log[5]",
        "inner": "values.obj.b[0]",
        "every": "values.log[*]",
        "asks": "interrupts",
    }
    [one] = await sent(api, "/threads/search", {"select": ["thread_id"], "status": "interrupted", "extract": paths})
    assert set(one) == {"thread_id", "extracted"}
    asks = one["extracted"].pop("asks")
    assert [q["value"] for each in asks.values() for q in each] == [{"q": "ok?"}]
    assert one["extracted"] == {"last": "first", "x": 2, "none": None, "beyond": None, "inner": 1, "every": None}
    assert names


async def test_through_the_sdk(api: httpx.AsyncClient) -> None:
    threads = LangGraphClient(api).threads
    thread = await threads.create(metadata={"suite": "sdk"}, graph_id="ask", ttl=30)
    name = thread["thread_id"]
    assert (await threads.update(name, metadata={"more": 1}))["metadata"]["more"] == 1
    assert [t["thread_id"] for t in await threads.search(metadata={"suite": "sdk"})] == [name]
    assert await threads.count(metadata={"suite": "sdk"}) == 1
    await threads.update_state(name, {"log": ["by hand"]}, as_node="first")
    assert (await threads.get_state(name, subgraphs=True))["values"] == {"log": ["by hand"]}
    assert len(await threads.get_history(name, limit=5)) == 1
    assert (await threads.get(name, include=["ttl"]))["ttl"]["ttl"] == 30
    await threads.copy(name)
    assert await threads.prune([name]) == {"pruned_count": 1}
    assert await threads.count(metadata={"suite": "sdk"}) == 1
    await threads.delete((await threads.search(metadata={"suite": "sdk"}))[0]["thread_id"])
    assert await threads.count() == 0
