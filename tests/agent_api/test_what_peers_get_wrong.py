"""Each thing that other servers of this API get wrong, as a test of ours, over HTTP and on both databases."""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import httpx
import pytest
from langgraph.graph import END, START, StateGraph
from langgraph.types import interrupt

from tests.support.agent_server import eventually, serving
from tests.support.kills import rows
from tests.support.sql import execute


class State(TypedDict, total=False):
    """`steps` counts down; `items` tells what was done."""

    name: str
    steps: int
    items: Annotated[list[str], operator.add]


@dataclass
class Gates:
    """What the graphs in this process do right now, and what holds them up."""

    open: asyncio.Event = field(default_factory=asyncio.Event)
    inside: list[str] = field(default_factory=list)
    most: int = 0
    passed: int = 0

    async def enter(self, state: State) -> dict[str, Any]:
        """Wait at the gate, counted."""
        name = state.get("name", "run")
        self.inside.append(name)
        self.most = max(self.most, len(self.inside))
        try:
            await self.open.wait()
        finally:
            self.inside.remove(name)
        self.passed += 1
        return {"items": [name]}

    async def step(self, state: State) -> dict[str, Any]:
        """Take one of many short steps."""
        await asyncio.sleep(0.05)
        self.passed += 1
        return {"items": [state.get("name", "run")], "steps": state.get("steps", 1) - 1}

    async def entered(self, name: str) -> None:
        """Wait until a run stands at the gate."""
        await eventually(lambda: name in self.inside, f"{name} to stand at the gate")


async def _ask(_state: State) -> dict[str, Any]:
    return {"items": [f"answered {interrupt('well?')}"]}


async def _say(state: State) -> dict[str, Any]:
    return {"items": [f"said {state.get('name', '')}"]}


def graphs_of(gates: Gates) -> dict[str, Any]:
    """A graph that waits at the gate, one that takes steps, one that asks, one that speaks twice."""
    made = {"gate": gates.enter, "steps": gates.step, "ask": _ask, "say": _say}
    graphs = {}
    for name, node in made.items():
        builder = StateGraph(State)
        builder.add_node(name, node)
        builder.add_edge(START, name)
        if name == "steps":
            builder.add_conditional_edges(name, lambda state: "steps" if state.get("steps", 0) > 0 else END)
        if name == "say":
            builder.add_node("again", _say)
            builder.add_edge(name, "again")
        graphs[name] = builder.compile()
    return graphs


@pytest.fixture
def gates() -> Gates:
    return Gates()


@pytest.fixture
async def api(gates: Gates, database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(graphs_of(gates), database_url, lease_s=2, heartbeat_s=0.3) as client:
        yield client
        gates.open.set()


@pytest.fixture
async def thread(api: httpx.AsyncClient) -> str:
    return await made(api)


async def made(api: httpx.AsyncClient) -> str:
    """A new thread's address."""
    answer = await api.post("/threads", json={})
    assert answer.status_code == 200, answer.text
    return f"/threads/{answer.json()['thread_id']}"


def asked(graph: str, name: str = "run", **more: Any) -> dict[str, Any]:
    return {"assistant_id": graph, "input": {"name": name, **more.pop("given", {})}, **more}


async def start(api: httpx.AsyncClient, thread: str, graph: str, name: str = "run", **more: Any) -> str:
    """Begin a run; its address."""
    answer = await api.post(f"{thread}/runs", json=asked(graph, name, **more))
    assert answer.status_code == 200, answer.text
    return f"{thread}/runs/{answer.json()['run_id']}"


async def status(api: httpx.AsyncClient, address: str) -> str:
    answer = await api.get(address)
    return str(answer.json()["status"]) if answer.status_code == 200 else str(answer.status_code)


async def until(api: httpx.AsyncClient, address: str, *wanted: str) -> str:
    async def reached() -> str:
        now = await status(api, address)
        return now if now in wanted else ""

    return str(await eventually(reached, f"{address} to be {wanted}"))


async def items(api: httpx.AsyncClient, thread: str) -> list[str]:
    return list((await api.get(f"{thread}/state")).json()["values"].get("items", []))


# Multitask strategies ignored: two runs at once on one thread.


async def test_two_runs_of_a_thread_never_execute_at_once(api: httpx.AsyncClient, thread: str, gates: Gates) -> None:
    names = [f"run{number}" for number in range(4)]
    runs = await asyncio.gather(*(start(api, thread, "gate", name) for name in names))
    await eventually(lambda: gates.inside, "one at the gate")
    await asyncio.sleep(0.3)
    assert len(gates.inside) == 1
    gates.open.set()
    for run in runs:
        assert (await api.get(f"{run}/join")).status_code == 200
        assert await until(api, run, "success") == "success"
    assert gates.most == 1
    assert sorted(await items(api, thread)) == names


async def test_reject_refuses_the_second_run(api: httpx.AsyncClient, thread: str, gates: Gates) -> None:
    await start(api, thread, "gate", "first")
    await gates.entered("first")
    second = await api.post(f"{thread}/runs", json=asked("gate", "second", multitask_strategy="reject"))
    assert second.status_code == 409
    assert "already running" in second.json()["detail"]
    assert len((await api.get(f"{thread}/runs")).json()) == 1


async def test_enqueue_runs_the_second_after_the_first(api: httpx.AsyncClient, thread: str, gates: Gates) -> None:
    first = await start(api, thread, "gate", "first")
    await gates.entered("first")
    second = await start(api, thread, "gate", "second")
    assert await status(api, second) == "pending"
    gates.open.set()
    await until(api, second, "success")
    assert await status(api, first) == "success"
    assert await items(api, thread) == ["first", "second"]


async def test_interrupt_keeps_what_the_first_run_did(api: httpx.AsyncClient, thread: str, gates: Gates) -> None:
    first = await start(api, thread, "steps", "first", given={"steps": 400})
    await until_passed(gates, 3)
    second = await start(api, thread, "steps", "second", given={"steps": 1}, multitask_strategy="interrupt")
    await until(api, second, "success")
    assert await status(api, first) == "interrupted"
    done = await items(api, thread)
    assert done[0] == "first"
    assert done[-1] == "second"


async def test_rollback_forgets_the_first_run(api: httpx.AsyncClient, thread: str, gates: Gates) -> None:
    await until(api, await start(api, thread, "steps", "before", given={"steps": 1}), "success")
    first = await start(api, thread, "steps", "first", given={"steps": 400})
    await until_passed(gates, 4)
    second = await start(api, thread, "steps", "second", given={"steps": 1}, multitask_strategy="rollback")
    await until(api, second, "success")
    assert await status(api, first) == "404"
    assert await items(api, thread) == ["before", "second"]


async def until_passed(gates: Gates, count: int) -> None:
    await eventually(lambda: gates.passed >= count, f"{count} steps")


# `on_disconnect` defaulting to cancel.


@pytest.mark.parametrize(("more", "ends"), [({}, "success"), ({"on_disconnect": "cancel"}, "interrupted")])
async def test_a_client_that_leaves_stops_a_run_only_where_it_asked_for_it(
    api: httpx.AsyncClient, thread: str, gates: Gates, more: dict[str, Any], ends: str
) -> None:
    async with api.stream("POST", f"{thread}/runs/stream", json=asked("gate", **more)) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("event: metadata"):
                break
        await gates.entered("run")
    (run,) = (await api.get(f"{thread}/runs")).json()
    address = f"{thread}/runs/{run['run_id']}"
    if ends == "success":
        await asyncio.sleep(0.5)
        assert await status(api, address) == "running"
        gates.open.set()
    assert await until(api, address, "success", "interrupted", "error") == ends


# Run fields silently dropped.


@pytest.mark.parametrize(
    ("fields", "shows"),
    [
        ({"interrupt_before": ["again"]}, lambda state: state["next"] == ["again"]),
        ({"interrupt_after": ["say"]}, lambda state: state["next"] == ["again"]),
        ({"interrupt_before": "*"}, lambda state: state["next"] == ["say"]),
        ({"metadata": {"mine": 1}}, lambda state: state["metadata"]["mine"] == 1),
        ({"config": {"metadata": {"mine": 2}}}, lambda state: state["metadata"]["mine"] == 2),
        (
            {"command": {"update": {"items": ["told"]}, "goto": "again"}},
            lambda state: "told" in state["values"]["items"],
        ),
    ],
)
async def test_a_field_of_a_run_has_its_effect(api: httpx.AsyncClient, thread: str, fields: Any, shows: Any) -> None:
    body = asked("say", **fields)
    if "command" in fields:
        del body["input"]
    answer = await api.post(f"{thread}/runs/wait", json=body)
    assert answer.status_code == 200, answer.text
    state = (await api.get(f"{thread}/state")).json()
    assert shows(state), state


@pytest.mark.parametrize(("durability", "checkpoints"), [("sync", 4), ("async", 4), ("exit", 1)])
async def test_durability_has_its_effect(
    api: httpx.AsyncClient, thread: str, durability: str, checkpoints: int
) -> None:
    await api.post(f"{thread}/runs/wait", json=asked("say", durability=durability))
    assert len((await api.get(f"{thread}/history", params={"limit": 20})).json()) == checkpoints


async def test_a_checkpoint_forks_the_history(api: httpx.AsyncClient, thread: str) -> None:
    for name in ("one", "two"):
        await api.post(f"{thread}/runs/wait", json=asked("say", name))
    history = (await api.get(f"{thread}/history", params={"limit": 20})).json()
    first = next(s for s in history if not s["next"] and len(s["values"]["items"]) == 2)
    body = asked("say", "other", checkpoint_id=first["checkpoint"]["checkpoint_id"])
    done = (await api.post(f"{thread}/runs/wait", json=body)).json()
    assert done["items"] == ["said one", "said one", "said other", "said other"]


@pytest.mark.parametrize(
    "field",
    [
        {"webhook": "https://example.org/hook"},
        {"multitask_strategy": "fight"},
        {"durability": "forever"},
        {"stream_mode": "telepathy"},
        {"on_disconnect": "explode"},
        {"on_completion": "forget"},
        {"if_not_exists": "pray"},
        {"after_seconds": -1},
        {"interrupt_before": 7},
        {"config": "x"},
    ],
)
async def test_a_field_that_cannot_be_honoured_is_refused(api: httpx.AsyncClient, thread: str, field: Any) -> None:
    answer = await api.post(f"{thread}/runs", json=asked("say", **field))
    assert answer.status_code == 422, answer.text
    assert (await api.get(f"{thread}/runs")).json() == []


async def test_names_outside_the_list_are_ignored(api: httpx.AsyncClient, thread: str) -> None:
    """Old SDKs and Studio send extras."""
    done = await api.post(f"{thread}/runs/wait", json=asked("say", "x", nonsense=1, langsmith_tracer=None))
    assert done.json()["items"] == ["said x", "said x"]


# A missing thread auto-created.


@pytest.mark.parametrize("way", ["", "/wait", "/stream"])
async def test_a_missing_thread_is_not_made(api: httpx.AsyncClient, way: str) -> None:
    missing = f"/threads/{uuid4()}"
    assert (await api.post(f"{missing}/runs{way}", json=asked("say"))).status_code == 404
    assert (await api.get(missing)).status_code == 404
    made_now = await api.post(f"{missing}/runs{way}", json=asked("say", if_not_exists="create"))
    assert made_now.status_code == 200
    assert (await api.get(missing)).status_code == 200


# `input: null` refused.


async def test_null_input_goes_on_from_the_checkpoint(api: httpx.AsyncClient, thread: str) -> None:
    body = asked("say", "x", interrupt_before=["again"])
    assert (await api.post(f"{thread}/runs/wait", json=body)).json()["items"] == ["said x"]
    done = await api.post(f"{thread}/runs/wait", json={"assistant_id": "say", "input": None})
    assert done.json()["items"] == ["said x", "said x"]


# Cancel answered before the run stopped.


@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_cancel_with_wait_answers_when_the_run_has_stopped(
    api: httpx.AsyncClient, thread: str, gates: Gates, action: str
) -> None:
    run = await start(api, thread, "steps", given={"steps": 400})
    await until_passed(gates, 2)
    answer = await api.post(f"{run}/cancel", params={"wait": 1, "action": action})
    at_the_answer = gates.passed
    assert answer.status_code == 200
    assert await status(api, run) == ("interrupted" if action == "interrupt" else "404")
    assert await status(api, thread) != "busy"
    await asyncio.sleep(0.3)
    assert gates.passed == at_the_answer, "it went on after it was said to be stopped"


# Cancel of a run whose worker died strands the thread "busy".


async def test_cancel_of_a_dead_workers_run_frees_the_thread(
    api: httpx.AsyncClient, thread: str, gates: Gates, database_url: str
) -> None:
    run = await start(api, thread, "gate", "lost")
    await gates.entered("lost")
    identity = run.rpartition("/")[2]
    dead = "UPDATE runs SET owner = 'nobody', attempt = attempt + 1, heartbeat_at = :then WHERE id = :run"
    await asyncio.to_thread(execute, database_url, dead, run=identity, then="2020-01-01 00:00:00+00:00")
    answer = await api.post(f"{run}/cancel", params={"wait": 1})
    assert answer.status_code == 200, answer.text
    assert await status(api, run) == "interrupted"
    gates.open.set()
    after = await api.post(f"{thread}/runs/wait", json=asked("say", "next"))
    assert after.status_code == 200
    assert (await api.get(thread)).json()["status"] == "idle"


# Join after finish returns `{}`.


async def test_join_after_the_end_gives_the_values(api: httpx.AsyncClient, thread: str) -> None:
    run = await start(api, thread, "say", "x")
    await until(api, run, "success")
    for _ in range(2):
        assert (await api.get(f"{run}/join")).json()["items"] == ["said x", "said x"]


# Error bodies other than `{"detail": "<string>"}`.

NOBODY = "00000000-0000-4000-8000-000000000000"
WRONG = [
    ("GET", f"/threads/{NOBODY}", None, 404),
    ("GET", "/threads/nonsense", None, 422),
    ("GET", f"/threads/{NOBODY}/state", None, 404),
    ("POST", "/threads", {"metadata": "x"}, 422),
    ("POST", "/threads/search", {"limit": "many"}, 422),
    ("POST", f"/threads/{NOBODY}/runs", {"assistant_id": "say"}, 404),
    ("POST", "/runs/wait", {"assistant_id": "nonsense"}, 422),
    ("POST", "/runs/wait", {}, 422),
    ("GET", f"/threads/{NOBODY}/runs/{NOBODY}", None, 404),
    ("POST", f"/threads/{NOBODY}/runs/{NOBODY}/cancel", None, 404),
    ("GET", f"/assistants/{NOBODY}", None, 404),
    ("POST", "/assistants", {"graph_id": "nonsense"}, 404),
    ("PUT", "/store/items", {"namespace": [], "key": "k", "value": {}}, 400),
    ("PUT", "/store/items", {"namespace": ["a.b"], "key": "k", "value": {}}, 422),
    ("GET", "/store/items", None, 400),
    ("POST", "/runs/crons", {"assistant_id": "say", "schedule": "whenever"}, 422),
    ("GET", "/nonsense", None, 404),
    ("PUT", "/threads", {}, 405),
]


@pytest.mark.parametrize(("method", "path", "sent", "wanted"), WRONG, ids=[f"{m} {p[:24]} {s}" for m, p, s, _ in WRONG])
async def test_an_error_is_one_sentence(api: httpx.AsyncClient, method: str, path: str, sent: Any, wanted: int) -> None:
    answer = await api.request(method, path, json=sent)
    assert answer.status_code == wanted, answer.text
    body = answer.json()
    assert list(body) == ["detail"]
    assert isinstance(body["detail"], str)
    assert body["detail"]


@pytest.mark.parametrize("content", ["{", "[1]", '"x"', "\x00"])
async def test_a_body_that_is_no_object_is_one_sentence(api: httpx.AsyncClient, content: str) -> None:
    answer = await api.post("/runs/wait", content=content, headers={"content-type": "application/json"})
    assert answer.status_code == 422
    assert isinstance(answer.json()["detail"], str)


# No fencing: a worker that lost its lease still writes.


@pytest.mark.parametrize("graph", ["gate", "steps"])
async def test_a_worker_without_its_lease_writes_nothing(
    api: httpx.AsyncClient, thread: str, gates: Gates, database_url: str, graph: str
) -> None:
    run = await start(api, thread, graph, given={"steps": 60})
    await (gates.entered("run") if graph == "gate" else until_passed(gates, 2))
    identity, where = run.rpartition("/")[2], thread.rpartition("/")[2]
    stolen = (
        "UPDATE runs SET owner = 'elsewhere|7|7|abcdefgh', attempt = attempt + 1, heartbeat_at = :then WHERE id = :run"
    )
    await asyncio.to_thread(execute, database_url, stolen, run=identity, then="2100-01-01 00:00:00+00:00")
    before = await asyncio.to_thread(written, database_url, where)
    gates.open.set()
    await asyncio.sleep(2.5)  # past the node, past a heartbeat, past the flush of the log
    assert await asyncio.to_thread(written, database_url, where) == before
    (row,) = await asyncio.to_thread(rows, database_url, "SELECT owner, status FROM runs WHERE id = :r", r=identity)
    assert (row.owner, row.status) == ("elsewhere|7|7|abcdefgh", "running")


def written(url: str, thread: str) -> tuple[Any, ...]:
    """How much a thread's log and checkpoints hold, and what the thread does."""
    counts = [
        rows(url, "SELECT count(*) AS n FROM run_events WHERE thread_id = :t", t=thread)[0].n,
        rows(url, "SELECT count(*) AS n FROM checkpoints WHERE thread_id = :t", t=thread)[0].n,
    ]
    (row,) = rows(url, "SELECT status, last_seq FROM threads WHERE id = :t", t=thread)
    return (*counts, row.status, row.last_seq)


# Delayed runs that lock the thread.


async def test_a_delayed_run_keeps_nobody_waiting(api: httpx.AsyncClient, thread: str) -> None:
    late = await start(api, thread, "say", "late", after_seconds=2)
    now = await api.post(f"{thread}/runs/wait", json=asked("say", "now", multitask_strategy="reject"))
    assert now.status_code == 200, now.text
    assert now.json()["items"] == ["said now", "said now"]
    assert await status(api, late) == "pending"
    assert await until(api, late, "success") == "success"
    assert await items(api, thread) == ["said now", "said now", "said late", "said late"]


async def test_streams_are_frames_of_json(api: httpx.AsyncClient, thread: str) -> None:
    """The first frame names the run; no frame says that it has ended."""
    answer = await api.post(f"{thread}/runs/stream", json=asked("say", "x", stream_mode="updates"))
    events = [line[7:] for line in answer.text.splitlines() if line.startswith("event: ")]
    frames = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert events == ["metadata", "updates", "updates"]
    assert frames[0]["attempt"] == 1
    assert "id:" not in answer.text
