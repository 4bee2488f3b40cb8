"""Several runs of one thread: strategies, cancelling, leaving, delays."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import httpx

from tests.conformance.recording import Recorder
from tests.conformance.scenarios.runs import thread_of


def slow(name: str, *, steps: int = 4, each: float = 0.5, **more: Any) -> dict[str, Any]:
    """A run that takes its time."""
    return {"assistant_id": "slow", "input": {"steps": steps, "each": each, "name": name}, **more}


async def _first(r: Recorder, path: str, **more: Any) -> str:
    run = (await r.http.post(f"{path}/runs", json=slow("first", **more))).json()["run_id"]
    r.name("first", run)
    await r.running(path.rpartition("/")[2], run)
    return run


async def _end(r: Recorder, path: str) -> None:
    await r.settle(path.rpartition("/")[2])
    await r.call("runs", "GET", f"{path}/runs")
    await r.call("thread", "GET", path)
    await r.call("state", "GET", f"{path}/state")


async def reject(r: Recorder) -> None:
    """The second is refused."""
    path = await thread_of(r)
    first = await _first(r, path)
    await r.call("busy", "GET", path)
    await r.call("second", "POST", f"{path}/runs", json=slow("second", multitask_strategy="reject"))
    await r.call("second wait", "POST", f"{path}/runs/wait", json=slow("second", multitask_strategy="reject"))
    await r.call("first joined", "GET", f"{path}/runs/{first}/join")
    await _end(r, path)


async def enqueue(r: Recorder) -> None:
    """The second waits its turn."""
    path = await thread_of(r)
    await _first(r, path, steps=2)
    second = await r.call("second", "POST", f"{path}/runs", name="run_id=second", json=slow("second", steps=1))
    await r.call("second waits", "GET", f"{path}/runs/{second['run_id']}")
    await r.call("second joined", "GET", f"{path}/runs/{second['run_id']}/join")
    await _end(r, path)


async def interrupt(r: Recorder) -> None:
    """The first is stopped, what it did stays."""
    path = await thread_of(r)
    first = await _first(r, path, steps=20, each=0.2)
    await asyncio.sleep(0.5)
    body = slow("second", steps=1, multitask_strategy="interrupt")
    second = await r.call("second", "POST", f"{path}/runs", name="run_id=second", json=body)
    done = (await r.http.get(f"{path}/runs/{second['run_id']}/join")).json()
    r.note("kept some of the first", sorted(set(done["items"])))
    await r.settle(path.rpartition("/")[2])
    await r.call("first", "GET", f"{path}/runs/{first}")
    await r.call("second ended", "GET", f"{path}/runs/{second['run_id']}")


async def rollback(r: Recorder) -> None:
    """The first is undone and forgotten."""
    path = await thread_of(r)
    await r.http.post(f"{path}/runs/wait", json=slow("before", steps=1, each=0))
    first = await _first(r, path, steps=20, each=0.2)
    body = slow("second", steps=1, multitask_strategy="rollback")
    second = await r.call("second", "POST", f"{path}/runs", name="run_id=second", json=body)
    await r.call("second joined", "GET", f"{path}/runs/{second['run_id']}/join")
    await r.call("first", "GET", f"{path}/runs/{first}")
    await _end(r, path)


async def cancel(r: Recorder) -> None:
    """Stop one that runs."""
    path = await thread_of(r)
    run = await _first(r, path, steps=20, each=0.2)
    await r.call("cancel", "POST", f"{path}/runs/{run}/cancel", params={"wait": 1})
    await r.call("right after", "GET", f"{path}/runs/{run}")
    await r.call("thread", "GET", path)
    await r.call("cancel again", "POST", f"{path}/runs/{run}/cancel", params={"wait": 1})
    await r.call("join", "GET", f"{path}/runs/{run}/join")
    other = await thread_of(r, "unwaited")
    run = await _first(r, other, steps=20, each=0.2)
    await r.call("without waiting", "POST", f"{other}/runs/{run}/cancel")
    await r.settle(other.rpartition("/")[2])
    await r.call("ended", "GET", f"{other}/runs/{run}")


async def cancel_rollback(r: Recorder) -> None:
    """Stop one that runs and undo it."""
    path = await thread_of(r)
    await r.http.post(f"{path}/runs/wait", json=slow("before", steps=1, each=0))
    run = await _first(r, path, steps=20, each=0.2)
    await r.call("cancel", "POST", f"{path}/runs/{run}/cancel", params={"wait": 1, "action": "rollback"})
    await r.call("gone", "GET", f"{path}/runs/{run}")
    await _end(r, path)


async def cancel_pending(r: Recorder) -> None:
    """Stop one that has not begun, and many at once."""
    path = await thread_of(r)
    first = await _first(r, path, steps=20, each=0.2)
    second = (await r.http.post(f"{path}/runs", json=slow("second"))).json()["run_id"]
    r.name("second", second)
    await r.call("cancel pending", "POST", f"{path}/runs/{second}/cancel", params={"wait": 1})
    await r.call("pending ended", "GET", f"{path}/runs/{second}")
    thread = path.rpartition("/")[2]
    body = {"thread_id": thread, "run_ids": [first]}
    await r.call("cancel many", "POST", "/runs/cancel", json=body)
    await r.settle(thread)
    await r.call("first ended", "GET", f"{path}/runs/{first}")
    await r.call("cancel none", "POST", "/runs/cancel", json={})
    await r.call("cancel unknown", "POST", "/runs/cancel", json={"thread_id": thread, "run_ids": [str(uuid4())]})
    await r.call("bad action", "POST", f"{path}/runs/{first}/cancel", params={"action": "explode"})


async def leave(r: Recorder) -> None:
    """A client that goes away: by default the run goes on; with `cancel` it stops."""
    for step, more in {
        "default": {},
        "continue": {"on_disconnect": "continue"},
        "cancel": {"on_disconnect": "cancel"},
    }.items():
        path = await thread_of(r, step)
        async with r.opened("POST", f"{path}/runs/stream", json=slow("first", steps=4, each=0.3, **more)) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("event: values"):
                    break
        await r.settle(path.rpartition("/")[2])
        runs = (await r.http.get(f"{path}/runs")).json()
        r.note(step, [run["status"] for run in runs])


async def rejoin(r: Recorder) -> None:
    """Join the stream of a run that is under way."""
    path = await thread_of(r)
    body = slow("first", steps=3, each=0.4, stream_resumable=True, stream_mode=["values", "custom"])
    run = (await r.http.post(f"{path}/runs", json=body)).json()["run_id"]
    r.name("first", run)
    await r.stream("whole", "GET", f"{path}/runs/{run}/stream", headers={"last-event-id": "-1"})
    await r.stream(
        "of another mode",
        "GET",
        f"{path}/runs/{run}/stream",
        params={"stream_mode": "custom"},
        headers={"last-event-id": "-1"},
    )
    plain = slow("second", steps=2, each=0.4)
    other = (await r.http.post(f"{path}/runs", json=plain)).json()["run_id"]
    r.name("second", other)
    await r.stream("not resumable", "GET", f"{path}/runs/{other}/stream")


async def later(r: Recorder) -> None:
    """A run that starts later keeps nobody waiting."""
    path = await thread_of(r)
    body = slow("late", steps=1, each=0, after_seconds=3)
    late = await r.call("create", "POST", f"{path}/runs", name="run_id=late", json=body)
    await r.call("pending", "GET", f"{path}/runs/{late['run_id']}")
    await r.call("thread", "GET", path)
    await r.call("meanwhile", "POST", f"{path}/runs/wait", json=slow("now", steps=1, each=0))
    await r.call("joined", "GET", f"{path}/runs/{late['run_id']}/join")


async def heartbeats(r: Recorder) -> None:
    """Silence is filled with comments."""
    path = await thread_of(r)
    heard: list[str] = []
    try:
        async with r.opened("POST", f"{path}/runs/stream", json=slow("quiet", steps=1, each=7)) as answer:
            heard.extend([line async for line in answer.aiter_lines() if line.startswith(":")])
    except httpx.HTTPError as exc:
        heard.append(type(exc).__name__)
    r.note("comments", sorted(set(heard)))


SCENARIOS = (
    reject,
    enqueue,
    interrupt,
    rollback,
    cancel,
    cancel_rollback,
    cancel_pending,
    leave,
    rejoin,
    later,
    heartbeats,
)
