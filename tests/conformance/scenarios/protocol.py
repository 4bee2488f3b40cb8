"""Thread protocol v2: commands and event streams."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

from tests.conformance.recording import Frame, Recorder

ALL = ["values", "updates", "messages", "tools", "lifecycle", "input", "tasks", "checkpoints", "custom"]


def command(method: str, number: int = 1, **params: Any) -> dict[str, Any]:
    """The body of a command."""
    return {"id": number, "method": method, "params": params}


def rested(frame: Frame) -> bool:
    """Whether a frame tells that the root has come to rest."""
    params = frame["data"].get("params", {}) if isinstance(frame["data"], dict) else {}
    data = params.get("data", {})
    ends = {"completed", "failed", "interrupted", "cancelled"}
    return frame["event"] == "lifecycle" and params.get("namespace") == [] and data.get("event") in ends


async def _turn(
    r: Recorder, step: str, thread: str, sent: dict[str, Any], channels: list[str], **more: Any
) -> list[Frame]:
    """Open a stream, send a command, read to the rest."""
    reading = asyncio.create_task(
        r.stream(
            f"{step} events",
            "POST",
            f"/threads/{thread}/stream/events",
            json={"channels": channels, **more},
            until=rested,
        )
    )
    await asyncio.sleep(0.3)
    await r.call(step, "POST", f"/threads/{thread}/commands", json=sent)
    frames = await reading
    await r.settle(thread)
    return frames


async def talk(r: Recorder) -> None:
    """A conversation: a thread that its first command makes, all channels; the same again from a point."""
    thread = r.name("thread", str(uuid4()))
    human = {"role": "user", "content": "hello", "id": "human-1"}
    start = command("run.start", assistant_id="chat", input={"messages": [human]})
    frames = await _turn(r, "start", thread, start, ALL)
    address = f"/threads/{thread}/stream/events"
    await r.stream("replayed", "POST", address, json={"channels": ALL}, until=rested)
    since = {"channels": ["values", "lifecycle"], "since": frames[len(frames) // 2]["data"]["seq"]}
    await r.stream("replayed since", "POST", address, json=since, until=rested)
    await r.call("state", "GET", f"/threads/{thread}/state")
    await r.call("thread", "GET", f"/threads/{thread}")
    await r.call("runs", "GET", f"/threads/{thread}/runs")


async def ask(r: Recorder) -> None:
    """A question and its answer."""
    thread = r.name("thread", str(uuid4()))
    start = command("run.start", assistant_id="nested", input={"text": "hello"})
    frames = await _turn(r, "start", thread, start, ["values", "lifecycle", "input"])
    questions = [f["data"]["params"]["data"] for f in frames if f["event"].startswith("input")]
    await r.call("thread", "GET", f"/threads/{thread}")
    found = next((q["interrupt_id"] for q in questions if "interrupt_id" in q), "")
    namespace = next((f["data"]["params"]["namespace"] for f in frames if f["event"].startswith("input")), [])
    last = max((f["data"].get("seq", 0) for f in frames), default=0)
    answer = command("input.respond", 2, namespace=namespace, interrupt_id=found, response="yes")
    await _turn(r, "respond", thread, answer, ["values", "lifecycle", "input"], since=last)
    await r.call("state", "GET", f"/threads/{thread}/state")
    await r.call("respond again", "POST", f"/threads/{thread}/commands", json=answer)


async def scoped(r: Recorder) -> None:
    """Only some namespaces, only so deep."""
    thread = r.name("thread", str(uuid4()))
    start = command("run.start", assistant_id="nested", input={"text": "hello"})
    await _turn(r, "start", thread, start, ["values", "updates", "lifecycle"], namespaces=[[]], depth=0)
    address = f"/threads/{thread}/stream/events"
    body = {"channels": ["lifecycle", "values"], "namespaces": [[]], "depth": 1}
    await r.stream("one deep", "POST", address, json=body, until=rested)
    await r.stream("everything", "POST", address, json={"channels": ["lifecycle", "values"]}, until=rested)


async def failure(r: Recorder) -> None:
    """A graph that raises."""
    thread = r.name("thread", str(uuid4()))
    start = command("run.start", assistant_id="fails", input={"text": "x"})
    await _turn(r, "start", thread, start, ["values", "lifecycle"])
    await r.call("thread", "GET", f"/threads/{thread}")


async def refused(r: Recorder) -> None:
    """What is refused, and how."""
    path = f"/threads/{uuid4()}"
    await r.call("unknown command", "POST", f"{path}/commands", json=command("state.get"))
    await r.call("nonsense", "POST", f"{path}/commands", json=command("nonsense"))
    await r.call("no assistant", "POST", f"{path}/commands", json=command("run.start", input={}))
    await r.call(
        "unknown graph", "POST", f"{path}/commands", json=command("run.start", assistant_id="nonsense", input={})
    )
    await r.call("no method", "POST", f"{path}/commands", json={"id": 1})
    await r.call("no id", "POST", f"{path}/commands", json={"method": "run.start", "params": {"assistant_id": "echo"}})
    await r.call(
        "respond to nothing", "POST", f"{path}/commands", json=command("input.respond", interrupt_id="x", response=1)
    )
    await r.call("tree of nothing", "POST", f"{path}/commands", json=command("agent.getTree"))
    await r.call("not json", "POST", f"{path}/commands", content="{")
    await r.call(
        "bad thread", "POST", "/threads/nonsense/commands", json=command("run.start", assistant_id="echo", input={})
    )
    await r.call("no channels", "POST", f"{path}/stream/events", json={})
    await r.call("no channel", "POST", f"{path}/stream/events", json={"channels": []})
    await r.call("bad channel", "POST", f"{path}/stream/events", json={"channels": ["nonsense"]})


SCENARIOS = (talk, ask, scoped, failure, refused)
