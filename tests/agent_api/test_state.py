"""The state of threads on the wire: read, its history, changed by hand, given to a new thread, copied."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.agent_api.thread_graphs import got, made, sent

EMPTY = {
    "values": {},
    "next": [],
    "tasks": [],
    "metadata": None,
    "created_at": None,
    "checkpoint": None,
    "parent_checkpoint": None,
    "interrupts": [],
    "checkpoint_id": None,
    "parent_checkpoint_id": None,
}
QUESTION = {"q": "ok?"}


@pytest.fixture
async def asking(api: httpx.AsyncClient) -> str:
    """A thread whose run asks inside its sub-graph."""
    return await made(api, "ask", metadata={"mine": 1})


async def history(api: httpx.AsyncClient, thread: str, **asked: Any) -> list[Any]:
    return list(await sent(api, f"{thread}/history", {"limit": 10} | asked))


async def test_no_state_yet(api: httpx.AsyncClient) -> None:
    for more in ({}, {"graph_id": "ask"}):
        thread = await made(api, **more)
        assert await got(api, f"{thread}/state") == EMPTY
        assert await got(api, f"{thread}/history") == []
        assert await history(api, thread) == []
    refused = await sent(api, f"{await made(api)}/state", {"values": {"log": ["x"]}}, status=400)
    assert "has no assigned graph ID" in refused["detail"]


async def test_a_graph_that_is_not_served(api: httpx.AsyncClient) -> None:
    thread = await made(api, metadata={"graph_id": "gone"})
    assert (await got(api, thread))["values"] is None
    expected = "Graph 'gone' not found. Expected one of: ['ask', 'fail', 'talk', 'wait']"
    assert (await api.get(f"{thread}/state")).json() == {"detail": expected}
    assert (await api.get(f"{thread}/history")).status_code == 404
    assert (await api.post(f"{thread}/state", json={"values": {}})).status_code == 404


async def test_a_state(api: httpx.AsyncClient, asking: str) -> None:
    state = await got(api, f"{asking}/state")
    name = asking.removeprefix("/threads/")
    assert set(state) == set(EMPTY)
    assert (state["values"], state["next"]) == ({"log": ["in", "first"], "n": 1}, ["sub"])
    [task] = state["tasks"]
    assert set(task) == {"id", "name", "path", "error", "interrupts", "checkpoint", "state", "result"}
    assert (task["name"], task["path"], task["error"]) == ("sub", ["__pregel_pull", "sub"], None)
    assert task["checkpoint"] == {"thread_id": name, "checkpoint_ns": f"sub:{task['id']}"}
    assert task["interrupts"] == state["interrupts"] == [{"id": task["interrupts"][0]["id"], "value": QUESTION}]
    at = state["checkpoint"]
    assert at == {"thread_id": name, "checkpoint_ns": "", "checkpoint_id": state["checkpoint_id"]}
    assert state["parent_checkpoint"]["checkpoint_id"] == state["parent_checkpoint_id"]
    assert (state["metadata"]["source"], state["metadata"]["step"]) == ("loop", 1)
    assert state["created_at"]


async def test_a_state_with_its_subgraphs(api: httpx.AsyncClient, asking: str) -> None:
    [task] = (await got(api, f"{asking}/state", subgraphs="true"))["tasks"]
    assert task["checkpoint"] is None
    inner = task["state"]
    assert set(inner) == set(EMPTY)
    assert (inner["next"], inner["values"]["log"]) == (["ask"], ["in", "first"])
    assert inner["checkpoint"]["checkpoint_ns"] == f"sub:{task['id']}"
    assert set(inner["checkpoint"]["checkpoint_map"]) == {"", f"sub:{task['id']}"}
    place = {"checkpoint_ns": f"sub:{task['id']}", "thread_id": str(uuid4())}
    assert await sent(api, f"{asking}/state/checkpoint", {"checkpoint": place}) == inner
    assert [s["next"] for s in await history(api, asking, checkpoint=place)] == [["ask"], ["__start__"]]
    nowhere = {"checkpoint_ns": "nosuch:1"}
    assert await sent(api, f"{asking}/state/checkpoint", {"checkpoint": nowhere}) == EMPTY
    assert await history(api, asking, checkpoint=nowhere) == []


async def test_a_failed_step(api: httpx.AsyncClient) -> None:
    state = await got(api, f"{await made(api, 'fail')}/state")
    assert state["next"] == ["fail"]
    assert "ValueError('boom')" in state["tasks"][0]["error"]


async def test_an_earlier_state(api: httpx.AsyncClient, asking: str) -> None:
    states = await history(api, asking)
    assert [s["next"] for s in states] == [["sub"], ["first"], ["__start__"]]
    for state in states:
        assert await got(api, f"{asking}/state/{state['checkpoint_id']}") == state
        assert await sent(api, f"{asking}/state/checkpoint", {"checkpoint": state["checkpoint"]}) == state
    assert states[-1]["parent_checkpoint"] is None
    unknown = await got(api, f"{asking}/state/{uuid4()}")
    assert (unknown["values"], unknown["created_at"]) == ({}, None)
    assert (await api.post(f"{asking}/state/checkpoint", json={})).status_code == 422


async def test_a_history_is_a_page(api: httpx.AsyncClient, asking: str) -> None:
    newest, middle, oldest = (state["checkpoint_id"] for state in await history(api, asking))

    async def ids(**asked: Any) -> list[str]:
        return [state["checkpoint_id"] for state in await history(api, asking, **asked)]

    assert await ids(limit=1) == [newest]
    for before in (newest, {"checkpoint_id": newest}, {"configurable": {"checkpoint_id": newest}}):
        assert await ids(before=before) == [middle, oldest]
    assert await ids(before=newest, limit=1) == [middle]
    assert await ids(metadata={"source": "input"}) == [oldest]
    assert await ids(metadata={"step": 1}) == [newest]
    assert await ids(checkpoint={"checkpoint_id": middle}) == [middle]
    assert [s["checkpoint_id"] for s in await got(api, f"{asking}/history")] == [newest]
    page = await got(api, f"{asking}/history", limit=10, before=newest)
    assert [s["checkpoint_id"] for s in page] == [middle, oldest]
    for limit in (0, 1001, "x"):
        assert (await api.post(f"{asking}/history", json={"limit": limit})).status_code == 422
        assert (await api.get(f"{asking}/history", params={"limit": limit})).status_code == 422


async def test_members_of_a_state(api: httpx.AsyncClient, asking: str) -> None:
    assert await got(api, f"{asking}/state", select=["values.log", "next"]) == {
        "values": {"log": ["in", "first"]},
        "next": ["sub"],
    }
    [state] = await history(api, asking, limit=1, select=["values.nope", "checkpoint_id"])
    assert set(state) == {"values", "checkpoint_id"}
    assert state["values"] == {}
    assert (await api.get(f"{asking}/state", params={"select": "bad"})).status_code == 422


async def test_an_update_by_hand(api: httpx.AsyncClient, asking: str) -> None:
    parent = (await got(api, f"{asking}/state"))["checkpoint_id"]
    answer = await sent(api, f"{asking}/state", {"values": {"log": ["by hand"]}, "as_node": "first"})
    assert set(answer) == {"checkpoint", "configurable", "checkpoint_id"}
    assert answer["checkpoint"] == answer["configurable"]
    state = await got(api, f"{asking}/state")
    assert state["checkpoint"] == answer["checkpoint"]
    assert state["parent_checkpoint_id"] == parent
    assert state["values"]["log"] == ["in", "first", "by hand"]
    assert state["metadata"]["source"] == "update"
    thread = await got(api, asking)
    assert (thread["status"], thread["interrupts"]) == ("interrupted", {})
    assert thread["state_updated_at"] == thread["updated_at"] >= state["created_at"][:19]
    await sent(api, f"{asking}/state", {"values": {"log": ["end"]}, "as_node": "last"})
    assert (await got(api, asking))["status"] == "idle"
    assert await got(api, f"{asking}/runs") != []
    assert len(await got(api, f"{asking}/runs")) == 1, "a hold shows among the runs"


async def test_an_update_takes_an_error_off_the_thread(api: httpx.AsyncClient) -> None:
    failed = await made(api, "fail")
    await sent(api, f"{failed}/state", {"values": {"log": ["mended"]}, "as_node": "fail"})
    thread = await got(api, failed)
    assert (thread["status"], thread["error"]) == ("idle", None)


async def test_updates_of_every_form(api: httpx.AsyncClient, asking: str) -> None:
    first = (await history(api, asking))[-1]["checkpoint"]
    await sent(api, f"{asking}/state", {"values": {"log": {"__overwrite__": ["only"]}}, "as_node": "first"})
    assert (await got(api, f"{asking}/state"))["values"]["log"] == ["only"]
    await sent(api, f"{asking}/state", {"values": None, "as_node": "__end__"})
    assert (await got(api, f"{asking}/state"))["next"] == []
    await sent(api, f"{asking}/state", {"values": None, "as_node": "__copy__"})
    for fork in ({"checkpoint": first}, {"checkpoint_id": first["checkpoint_id"]}):
        await sent(api, f"{asking}/state", {"values": {"log": ["fork"]}, "as_node": "first", **fork})
        state = await got(api, f"{asking}/state")
        assert (state["values"]["log"], state["parent_checkpoint_id"]) == (["fork"], first["checkpoint_id"])
    await sent(api, f"{asking}/state", {"values": {"unknown": 1}, "as_node": "first"})


async def test_an_update_inside_a_subgraph(api: httpx.AsyncClient, asking: str) -> None:
    [task] = (await got(api, f"{asking}/state"))["tasks"]
    await sent(api, f"{asking}/state", {"values": {"log": ["within"]}, "checkpoint": task["checkpoint"]})
    [task] = (await got(api, f"{asking}/state", subgraphs="true"))["tasks"]
    assert task["state"]["values"]["log"] == ["in", "first", "within"]
    thread = await got(api, asking)
    assert thread["status"] == "interrupted"
    assert thread["values"]["log"] == ["in", "first"]


async def test_values_that_json_does_not_know(api: httpx.AsyncClient, asking: str) -> None:
    body = '{"values": {"obj": {"nan": NaN, "most": Infinity}}, "as_node": "first"}'
    assert (await api.post(f"{asking}/state", content=body)).status_code == 200
    shown = {"nan": None, "most": None}
    assert (await got(api, f"{asking}/state"))["values"]["obj"] == shown
    assert (await got(api, asking))["values"]["obj"] == shown
    assert (await history(api, asking))[0]["values"]["obj"] == shown
    assert (await sent(api, "/threads/search"))[0]["values"]["obj"] == shown


@pytest.mark.parametrize(
    "update",
    [
        {"values": {"log": ["x"]}, "as_node": "nonode"},
        {"values": {"log": 5}, "as_node": "first"},
        {"values": [{"log": ["x"]}], "as_node": "first"},
        {"values": {"log": ["x"]}, "checkpoint": {"checkpoint_ns": "nosuch:1"}},
    ],
)
async def test_an_update_is_refused_and_changes_nothing(
    api: httpx.AsyncClient, asking: str, update: dict[str, Any]
) -> None:
    before = await got(api, asking)
    assert set(await sent(api, f"{asking}/state", update, status=400)) == {"detail"}
    assert await got(api, asking) == before
    assert len(await history(api, asking)) == 3
    answer = await api.post(f"{asking}/runs/wait", json={"assistant_id": "ask", "command": {"resume": "yes"}})
    assert answer.json()["log"][-2:] == ["answer yes", "last"], "the thread is still held"


async def test_after_an_update_the_thread_goes_on_from_it(api: httpx.AsyncClient, asking: str) -> None:
    await sent(api, f"{asking}/state", {"values": {"log": ["by hand"]}, "as_node": "sub"})
    answer = await api.post(f"{asking}/runs/wait", json={"assistant_id": "ask", "input": None})
    assert answer.json()["log"] == ["in", "first", "by hand", "last"]


def steps(*pairs: tuple[str, Any]) -> list[Any]:
    return [{"updates": [{"as_node": node, "values": values}]} for node, values in pairs]


async def test_a_thread_that_begins_with_a_state(api: httpx.AsyncClient) -> None:
    begun = steps(("__input__", {"log": ["given"]}), ("first", {"log": ["s1"]}))
    thread = await sent(api, "/threads", {"graph_id": "ask", "supersteps": begun})
    assert (thread["status"], thread["values"]) == ("interrupted", {"log": ["s1"]})
    states = await history(api, f"/threads/{thread['thread_id']}")
    assert [(s["metadata"]["source"], s["next"]) for s in states] == [("update", ["sub"]), ("input", ["__start__"])]
    jump = [{"updates": [{"values": None, "as_node": "first", "command": {"update": {"n": 7}, "goto": "last"}}]}]
    thread = await sent(api, "/threads", {"metadata": {"graph_id": "ask"}, "supersteps": jump})
    assert thread["values"]["n"] == 7
    assert "last" in (await got(api, f"/threads/{thread['thread_id']}/state"))["next"]


@pytest.mark.parametrize(
    ("graph", "begun", "says"),
    [
        (None, steps(("first", {"log": ["x"]})), "has no assigned graph ID"),
        ("ask", steps(("nonode", {"log": ["x"]})), "Node nonode does not exist"),
        ("ask", [{"updates": []}], "No updates provided"),
    ],
)
async def test_no_thread_is_left_of_supersteps_that_fail(
    api: httpx.AsyncClient, graph: str | None, begun: list[Any], says: str
) -> None:
    name = str(uuid4())
    body = {"thread_id": name, "graph_id": graph, "supersteps": begun}
    assert says in (await sent(api, "/threads", body, status=400))["detail"]
    assert (await api.get(f"/threads/{name}")).status_code == 404


async def test_supersteps_do_not_touch_a_thread_that_is_there(api: httpx.AsyncClient, asking: str) -> None:
    begun = {"graph_id": "ask", "supersteps": steps(("first", {"log": ["x"]}))}
    body = {"thread_id": asking.removeprefix("/threads/"), **begun}
    assert (await api.post("/threads", json=body)).status_code == 409
    again = await sent(api, "/threads", {**body, "if_exists": "do_nothing"})
    assert again["values"]["log"] == ["in", "first"]


async def test_a_copy(api: httpx.AsyncClient, asking: str) -> None:
    source = await got(api, asking)
    copy = await sent(api, f"{asking}/copy")
    assert copy["thread_id"] != source["thread_id"]
    for member in ("metadata", "values", "status", "interrupts", "error", "config"):
        assert copy[member] == source[member]
    there = f"/threads/{copy['thread_id']}"
    assert await got(api, there) == copy
    assert await got(api, f"{there}/runs") == []
    ours, theirs = await history(api, there), await history(api, asking)
    assert [s["checkpoint_id"] for s in ours] == [s["checkpoint_id"] for s in theirs]
    assert ours[0]["checkpoint"]["thread_id"] == copy["thread_id"]
    answer = await api.post(f"{there}/runs/wait", json={"assistant_id": "ask", "command": {"resume": "yes"}})
    assert answer.json()["log"][-2:] == ["answer yes", "last"]
    assert await got(api, asking) == source
    assert (await got(api, f"{asking}/state"))["next"] == ["sub"]
    assert (await api.delete(asking)).status_code == 204
    assert (await got(api, there))["values"]["log"][-1] == "last"
