"""Runs in every form: wait, stream, create, batch, stateless, join; interrupts and resumes; errors."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.conformance.recording import Recorder

MODES = ("values", "updates", "messages", "messages-tuple", "custom", "tasks", "checkpoints", "debug", "events")


async def thread_of(r: Recorder, name: str = "thread") -> str:
    """A new thread, by name; its address."""
    made = (await r.http.post("/threads", json={})).json()["thread_id"]
    r.name(name, made)
    return f"/threads/{made}"


def asked(graph: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    """The body of a run."""
    return {"assistant_id": graph, "input": {"text": text}, **more}


def said(text: str = "hello", **more: Any) -> dict[str, Any]:
    """The body of a run of the graph that talks."""
    human = {"role": "user", "content": text, "id": "human-1"}
    return {"assistant_id": "chat", "input": {"messages": [human]}, **more}


async def wait(r: Recorder) -> None:
    """Wait for the answer, and what it leaves behind."""
    path = await thread_of(r)
    await r.call("wait", "POST", f"{path}/runs/wait", json=asked("echo", metadata={"mine": 1}))
    (run,) = await r.call("runs", "GET", f"{path}/runs")
    r.name("run", run["run_id"])
    await r.call("run", "GET", f"{path}/runs/{run['run_id']}")
    await r.call("join after", "GET", f"{path}/runs/{run['run_id']}/join")
    await r.stream("stream after", "GET", f"{path}/runs/{run['run_id']}/stream")
    await r.call("thread", "GET", path)
    await r.call("state", "GET", f"{path}/state")
    await r.call("history", "GET", f"{path}/history")
    await r.call("delete", "DELETE", f"{path}/runs/{run['run_id']}")
    await r.call("deleted", "GET", f"{path}/runs/{run['run_id']}")


async def background(r: Recorder) -> None:
    """Create, then join."""
    path = await thread_of(r)
    run = await r.call("create", "POST", f"{path}/runs", name="run_id=run", json=asked("echo", metadata={"mine": 1}))
    await r.call("join", "GET", f"{path}/runs/{run['run_id']}/join")
    await r.settle(path.rpartition("/")[2])
    await r.call("run", "GET", f"{path}/runs/{run['run_id']}")
    for _ in range(2):
        await r.http.post(f"{path}/runs/wait", json=asked("echo"))
    await r.call("page", "GET", f"{path}/runs", params={"limit": 1})
    await r.call("by status", "GET", f"{path}/runs", params={"status": "error"})
    await r.call("select", "GET", f"{path}/runs", params={"select": "run_id", "limit": 1})


async def streams(r: Recorder) -> None:
    """Each stream mode alone, on the graph that talks."""
    for mode in MODES:
        path = await thread_of(r, f"thread {mode}")
        await r.stream(mode, "POST", f"{path}/runs/stream", json=said(stream_mode=mode))


async def several_modes(r: Recorder) -> None:
    """Modes together, resumable, with subgraphs, and the default."""
    path = await thread_of(r)
    modes = ["values", "updates", "messages-tuple"]
    await r.stream("together", "POST", f"{path}/runs/stream", json=said(stream_mode=modes))
    frames = await r.stream("resumable", "POST", f"{path}/runs/stream", json=said(stream_resumable=True))
    run = frames[0]["data"]["run_id"]
    for step, last in {"from the start": "-1", "from zero": "0", "from the first": frames[0]["id"]}.items():
        address = f"{path}/runs/{run}/stream"
        await r.stream(f"rejoin {step}", "GET", address, headers={"last-event-id": last})
    other = await thread_of(r, "nested")
    body = asked("nested", stream_mode=["updates", "values"], stream_subgraphs=True)
    await r.stream("subgraphs", "POST", f"{other}/runs/stream", json=body)
    paced = {"assistant_id": "slow", "input": {"steps": 2, "each": 0.05}, "stream_mode": "custom"}
    await r.stream("custom", "POST", f"{await thread_of(r, 'paced')}/runs/stream", json=paced)
    await r.stream("unknown mode", "POST", f"{path}/runs/stream", json=said(stream_mode="nonsense"))


async def stateless(r: Recorder) -> None:
    """Runs without a thread."""
    await r.call("wait", "POST", "/runs/wait", json=asked("echo"))
    await r.stream("stream", "POST", "/runs/stream", json=asked("echo", stream_mode="updates"))
    made = await r.call("create", "POST", "/runs", name="run_id=run", json=asked("echo"))
    r.name("temporary", made["thread_id"])
    await r.call("batch", "POST", "/runs/batch", json=[asked("echo", "a"), asked("echo", "b")])
    kept = await r.http.post("/runs/wait", json=asked("echo", on_completion="keep"))
    r.note("kept", kept.json())
    thread = kept.headers["location"].split("/")[2]
    r.name("kept", thread)
    await r.call("kept thread", "GET", f"/threads/{thread}")
    gone = await r.http.post("/runs/wait", json=asked("echo"))
    await r.call("thread gone", "GET", f"/threads/{gone.headers['location'].split('/')[2]}")
    await r.call(
        "create if missing", "POST", f"/threads/{uuid4()}/runs/wait", json=asked("echo", if_not_exists="create")
    )


async def interrupts(r: Recorder) -> None:
    """A run ends at a question; an answer begins another."""
    path = await thread_of(r)
    await r.call("ask", "POST", f"{path}/runs/wait", json=asked("ask"))
    await r.settle(path.rpartition("/")[2])
    await r.call("thread asks", "GET", path)
    await r.call("runs", "GET", f"{path}/runs", params={"select": "status"})
    await r.call("answer", "POST", f"{path}/runs/wait", json={"assistant_id": "ask", "command": {"resume": "yes"}})
    await r.call("thread after", "GET", path)
    other = await thread_of(r, "streamed")
    modes = ["values", "updates"]
    await r.stream("stream to it", "POST", f"{other}/runs/stream", json=asked("ask", stream_mode=modes))
    resume = {"assistant_id": "ask", "command": {"resume": {"ok": True}}, "stream_mode": modes}
    await r.stream("stream from it", "POST", f"{other}/runs/stream", json=resume)


async def two_questions(r: Recorder) -> None:
    """Two at the same time, answered by id."""
    path = await thread_of(r)
    await r.call("ask", "POST", f"{path}/runs/wait", json=asked("twice"))
    state = await r.call("state", "GET", f"{path}/state")
    ids = {i["id"]: f"to {i['value']}" for i in sorted(state["interrupts"], key=lambda i: str(i["value"]))}
    one = {"assistant_id": "twice", "command": {"resume": "ambiguous"}}
    await r.call("without an id", "POST", f"{path}/runs/wait", json=one)
    first = dict(list(ids.items())[:1])
    await r.call("one", "POST", f"{path}/runs/wait", json={"assistant_id": "twice", "command": {"resume": first}})
    await r.call("rest", "POST", f"{path}/runs/wait", json={"assistant_id": "twice", "command": {"resume": ids}})


async def breakpoints(r: Recorder) -> None:
    """Static breakpoints; `input: null` goes on; a command that updates and goes elsewhere."""
    path = await thread_of(r)
    await r.call("before", "POST", f"{path}/runs/wait", json=asked("ask", interrupt_before=["question"]))
    await r.call("state", "GET", f"{path}/state")
    await r.call("thread", "GET", path)
    await r.call("go on", "POST", f"{path}/runs/wait", json={"assistant_id": "ask", "input": None})
    goto = {"assistant_id": "ask", "command": {"update": {"items": ["by command"]}, "goto": "after"}}
    await r.call("goto", "POST", f"{path}/runs/wait", json=goto)
    other = await thread_of(r, "every")
    body = asked("ask", interrupt_after="*", stream_mode="updates")
    await r.stream("after all", "POST", f"{other}/runs/stream", json=body)


async def forks(r: Recorder) -> None:
    """A run from an older checkpoint."""
    path = await thread_of(r)
    for text in ("one", "two"):
        await r.http.post(f"{path}/runs/wait", json=asked("echo", text))
    history = (await r.http.get(f"{path}/history", params={"limit": 20})).json()
    first = next(s for s in history if s["values"].get("items") == ["echo one"] and not s["next"])
    body = asked("echo", "other", checkpoint_id=first["checkpoint"]["checkpoint_id"])
    await r.call("by id", "POST", f"{path}/runs/wait", json=body)
    checkpoint = {"checkpoint_id": first["checkpoint"]["checkpoint_id"], "checkpoint_ns": ""}
    await r.call("by checkpoint", "POST", f"{path}/runs/wait", json=asked("echo", "third", checkpoint=checkpoint))
    await r.call("history", "GET", f"{path}/history", params={"limit": 20})


async def settings(r: Recorder) -> None:
    """Config, context, metadata, durability as the node sees them."""
    path = await thread_of(r)
    config = {"configurable": {"colour": "red"}, "tags": ["a"], "recursion_limit": 7}
    await r.call("config", "POST", f"{path}/runs/wait", json=asked("seen", config=config, metadata={"mine": 1}))
    await r.call("context", "POST", f"{path}/runs/wait", json=asked("seen", context={"tone": "calm"}))
    both = asked("seen", context={"tone": "calm"}, config={"configurable": {"colour": "red"}})
    await r.call("both", "POST", f"{path}/runs/wait", json=both)
    await r.call("factory", "POST", f"{path}/runs/wait", json={"assistant_id": "made", "input": {}, "config": config})
    runs = await r.call("runs", "GET", f"{path}/runs")
    await r.call("run", "GET", f"{path}/runs/{runs[-1]['run_id']}")
    for durability in ("sync", "async", "exit"):
        other = await thread_of(r, durability)
        await r.call(durability, "POST", f"{other}/runs/wait", json=asked("ask", durability=durability))
        await r.call(f"{durability} history", "GET", f"{other}/history")
    limit = {"assistant_id": "slow", "input": {"steps": 5, "each": 0}, "config": {"recursion_limit": 2}}
    await r.call("recursion limit", "POST", f"{await thread_of(r, 'limit')}/runs/wait", json=limit)


async def failures(r: Recorder) -> None:
    """A graph that raises."""
    path = await thread_of(r)
    await r.call("wait", "POST", f"{path}/runs/wait", json=asked("fails"))
    await r.settle(path.rpartition("/")[2])
    await r.call("thread", "GET", path)
    (run,) = await r.call("runs", "GET", f"{path}/runs")
    await r.call("join", "GET", f"{path}/runs/{run['run_id']}/join")
    await r.call("state", "GET", f"{path}/state")
    await r.stream("stream", "POST", f"{path}/runs/stream", json=asked("fails", stream_mode=["values", "updates"]))
    await r.call("go on", "POST", f"{path}/runs/wait", json={"assistant_id": "echo", "input": {"text": "fine"}})
    await r.call("thread after", "GET", path)


async def refused(r: Recorder) -> None:
    """What is refused, and how."""
    path = await thread_of(r)
    await r.call("missing thread", "POST", f"/threads/{uuid4()}/runs/wait", json=asked("echo"))
    await r.call("missing thread create", "POST", f"/threads/{uuid4()}/runs", json=asked("echo"))
    await r.call("missing thread stream", "POST", f"/threads/{uuid4()}/runs/stream", json=asked("echo"))
    await r.call("bad thread", "POST", "/threads/nonsense/runs/wait", json=asked("echo"))
    await r.call("unknown graph", "POST", f"{path}/runs/wait", json=asked("nonsense"))
    await r.call("unknown assistant", "POST", f"{path}/runs/wait", json=asked(str(uuid4())))
    await r.call("no assistant", "POST", f"{path}/runs/wait", json={"input": {}})
    await r.call("bad strategy", "POST", f"{path}/runs", json=asked("echo", multitask_strategy="fight"))
    await r.call("bad durability", "POST", f"{path}/runs", json=asked("echo", durability="forever"))
    await r.call("not json", "POST", f"{path}/runs", content="{", headers={"content-type": "application/json"})
    await r.call("a list", "POST", f"{path}/runs", json=[1])
    await r.call("unknown run", "GET", f"{path}/runs/{uuid4()}")
    await r.call("bad run", "GET", f"{path}/runs/nonsense")
    await r.call("cancel unknown", "POST", f"{path}/runs/{uuid4()}/cancel")
    await r.call("join unknown", "GET", f"{path}/runs/{uuid4()}/join")
    await r.call("delete unknown", "DELETE", f"{path}/runs/{uuid4()}")
    await r.call("resume nothing", "POST", f"{path}/runs/wait", json={"assistant_id": "ask", "command": {"resume": 1}})
    both = {"assistant_id": "ask", "input": {"text": "x"}, "command": {"resume": 1}}
    await r.call("input and command", "POST", f"{path}/runs/wait", json=both)
    await r.call(
        "nothing to do",
        "POST",
        f"{await thread_of(r, 'empty')}/runs/wait",
        json={"assistant_id": "echo", "input": None},
    )
    await r.call("bad checkpoint", "POST", f"{path}/runs/wait", json=asked("echo", checkpoint_id=str(uuid4())))
    await r.call("batch of nothing", "POST", "/runs/batch", json=[])
    await r.call("unknown field", "POST", f"{path}/runs/wait", json=asked("echo", nonsense=1))


SCENARIOS = (
    wait,
    background,
    streams,
    several_modes,
    stateless,
    interrupts,
    two_questions,
    breakpoints,
    forks,
    settings,
    failures,
    refused,
)
