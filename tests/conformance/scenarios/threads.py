"""Threads: their life, search, state, history, copies."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.conformance.recording import Recorder


async def _ran(r: Recorder, graph: str, *texts: str, **more: Any) -> str:
    thread = (await r.http.post("/threads", json=more)).json()["thread_id"]
    r.name("thread", thread)
    for text in texts:
        body = {"assistant_id": graph, "input": {"text": text}}
        await r.http.post(f"/threads/{thread}/runs/wait", json=body)
    await r.settle(thread)
    return thread


async def life(r: Recorder) -> None:
    """Make, change, delete."""
    made = await r.call("create", "POST", "/threads", name="thread_id=thread", json={"metadata": {"probe": "life"}})
    path = f"/threads/{made['thread_id']}"
    await r.call("get", "GET", path)
    await r.call("patch", "PATCH", path, json={"metadata": {"more": [1, 2]}})
    await r.call("patch minimal", "PATCH", path, json={"metadata": {"x": 1}}, headers={"prefer": "return=minimal"})
    again = {"thread_id": made["thread_id"]}
    await r.call("create again", "POST", "/threads", json=again)
    await r.call("create again do nothing", "POST", "/threads", json={**again, "if_exists": "do_nothing"})
    await r.call("state before any run", "GET", f"{path}/state")
    await r.call("history before any run", "GET", f"{path}/history")
    await r.call("runs before any run", "GET", f"{path}/runs")
    await r.call("update without a graph", "POST", f"{path}/state", json={"values": {"text": "x"}})
    await r.call("delete", "DELETE", path)
    await r.call("get deleted", "GET", path)
    await r.call("delete again", "DELETE", path)
    await r.call("with ttl", "POST", "/threads", name="thread_id=kept", json={"ttl": {"ttl": 60, "strategy": "delete"}})
    await r.call("with ttl number", "POST", "/threads", name="thread_id=short", json={"ttl": 5})


async def state(r: Recorder) -> None:
    """State, its update, and history."""
    thread = await _ran(r, "ask", "hello")
    path = f"/threads/{thread}"
    await r.call("thread", "GET", path)
    now = await r.call("state", "GET", f"{path}/state")
    await r.call("state with subgraphs", "GET", f"{path}/state", params={"subgraphs": "true"})
    await r.call("history", "GET", f"{path}/history")
    await r.call("history of one", "POST", f"{path}/history", json={"limit": 1})
    before = {"limit": 5, "before": {"configurable": now["checkpoint"]}}
    await r.call("history before", "POST", f"{path}/history", json=before)
    await r.call("history by metadata", "POST", f"{path}/history", json={"metadata": {"source": "input"}})
    checkpoint = now["checkpoint"]["checkpoint_id"]
    await r.call("state at id", "GET", f"{path}/state/{checkpoint}")
    await r.call("state at checkpoint", "POST", f"{path}/state/checkpoint", json={"checkpoint": now["checkpoint"]})
    await r.call("state at nowhere", "GET", f"{path}/state/{uuid4()}")
    update = {"values": {"items": ["by hand"]}, "as_node": "question"}
    await r.call("update", "POST", f"{path}/state", json=update)
    await r.call("after the update", "GET", f"{path}/state")
    await r.call("bad node", "POST", f"{path}/state", json={"values": {"items": ["x"]}, "as_node": "nonsense"})
    await r.call("patch state", "PATCH", f"{path}/state", json={"metadata": {"note": 1}})
    await r.call("thread after", "GET", path)
    fork = {"values": {"items": ["forked"]}, "checkpoint_id": checkpoint, "as_node": "before"}
    await r.call("update a fork", "POST", f"{path}/state", json=fork)
    await r.call("history after", "POST", f"{path}/history", json={"limit": 20})


async def nested(r: Recorder) -> None:
    """The state of a graph within a graph."""
    thread = await _ran(r, "nested", "deep")
    await r.call("state", "GET", f"/threads/{thread}/state")
    await r.call("state with subgraphs", "GET", f"/threads/{thread}/state", params={"subgraphs": "true"})
    await r.call("thread", "GET", f"/threads/{thread}")


async def search(r: Recorder) -> None:
    """Search, count, pages."""
    for number in range(3):
        body = {"metadata": {"probe": "threads", "number": number}}
        await r.http.post("/threads", json=body)
    done = await _ran(r, "echo", "hello", metadata={"probe": "threads", "number": 3})
    await _ran(r, "ask", "hello", metadata={"probe": "threads", "number": 4})
    mine = {"metadata": {"probe": "threads"}, "sort_by": "created_at", "sort_order": "asc"}
    for step, more in {
        "all": {},
        "page": {"limit": 2},
        "last page": {"limit": 2, "offset": 4},
        "beyond": {"offset": 9},
        "idle": {"status": "idle"},
        "interrupted": {"status": "interrupted"},
        "busy": {"status": "busy"},
        "by values": {"values": {"text": "hello"}, "status": "idle"},
        "by ids": {"ids": [done]},
        "select": {"select": ["thread_id", "status"], "limit": 1},
        "by metadata": {"metadata": {"probe": "threads", "number": 2}},
        "extract": {"ids": [done], "extract": {"first": "values.items[0]"}, "select": ["thread_id"]},
        "bad status": {"status": "nonsense"},
        "bad sort": {"sort_by": "colour"},
    }.items():
        await r.call(step, "POST", "/threads/search", json={**mine, **more})
    await r.call("count", "POST", "/threads/count", json={"metadata": {"probe": "threads"}})
    await r.call(
        "count interrupted", "POST", "/threads/count", json={"metadata": {"probe": "threads"}, "status": "interrupted"}
    )


async def copies(r: Recorder) -> None:
    """A copy has the history of its original and a life of its own."""
    thread = await _ran(r, "echo", "one", "two", metadata={"probe": "copy"})
    copied = await r.call("copy", "POST", f"/threads/{thread}/copy", name="thread_id=copy")
    path = f"/threads/{copied['thread_id']}"
    await r.call("thread", "GET", path)
    await r.call("state", "GET", f"{path}/state")
    await r.call("history", "GET", f"{path}/history")
    await r.call("go on", "POST", f"{path}/runs/wait", json={"assistant_id": "echo", "input": {"text": "three"}})
    await r.call("original", "GET", f"/threads/{thread}/state")
    await r.call("runs of the copy", "GET", f"{path}/runs")
    await r.call("copy unknown", "POST", f"/threads/{uuid4()}/copy")


async def made_whole(r: Recorder) -> None:
    """A thread made with a history."""
    steps = [{"updates": [{"values": {"text": "a", "items": ["given"]}, "as_node": "__input__"}]}]
    steps.append({"updates": [{"values": {"items": ["told"]}, "as_node": "say"}]})
    body = {"supersteps": steps, "metadata": {"graph_id": "echo"}}
    made = await r.call("create", "POST", "/threads", name="thread_id=thread", json=body)
    path = f"/threads/{made['thread_id']}"
    await r.call("state", "GET", f"{path}/state")
    await r.call("history", "GET", f"{path}/history")
    await r.call("thread", "GET", path)
    await r.call("go on", "POST", f"{path}/runs/wait", json={"assistant_id": "echo", "input": {"text": "b"}})


async def prune(r: Recorder) -> None:
    """Many at once."""
    one, two = [(await r.http.post("/threads", json={})).json()["thread_id"] for _ in range(2)]
    await r.call("delete", "POST", "/threads/prune", json={"thread_ids": [one, two], "strategy": "delete"})
    await r.call("gone", "GET", f"/threads/{one}")
    await r.call("none", "POST", "/threads/prune", json={"thread_ids": [str(uuid4())], "strategy": "delete"})


async def refused(r: Recorder) -> None:
    """What is refused, and how."""
    gone = f"/threads/{uuid4()}"
    await r.call("unknown", "GET", gone)
    await r.call("bad id", "GET", "/threads/nonsense")
    await r.call("create bad id", "POST", "/threads", json={"thread_id": "nonsense"})
    await r.call("state of unknown", "GET", f"{gone}/state")
    await r.call("history of unknown", "GET", f"{gone}/history")
    await r.call("runs of unknown", "GET", f"{gone}/runs")
    await r.call("patch unknown", "PATCH", gone, json={"metadata": {}})
    await r.call("delete unknown", "DELETE", gone)
    await r.call("update unknown", "POST", f"{gone}/state", json={"values": {}})
    await r.call("bad if exists", "POST", "/threads", json={"if_exists": "perhaps"})
    await r.call("bad metadata", "POST", "/threads", json={"metadata": "x"})
    await r.call("not json", "POST", "/threads", content="{", headers={"content-type": "application/json"})
    await r.call("no route", "GET", "/nonsense")
    await r.call("wrong method", "PUT", "/threads", json={})


SCENARIOS = (life, state, nested, search, copies, made_whole, prune, refused)
