"""The thread protocol v2 over HTTP: what a client relies on, on both databases."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.agent_api.protocol_graphs import Thread, asked, graph, phases, rested, values
from tests.support.agent_server import eventually, serving


@pytest.fixture
async def client(database_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving({"g": graph()}, database_url) as client:
        yield client


@pytest.fixture
def thread(client: httpx.AsyncClient) -> Thread:
    return Thread(client)


async def test_a_stream_opened_before_its_thread_exists_gets_all_of_it(thread):
    async with thread.listening() as events:
        assert (await thread.client.get(f"/threads/{thread.id}")).status_code == 404
        run_id = await thread.start("x")
        await eventually(lambda: rested()(events), "the end")
    assert [e["method"] for e in events] == ["lifecycle", "values", "custom", "updates", "values", "lifecycle"]
    assert phases(events) == ["running", "completed"]
    seqs = [e["seq"] for e in events]
    assert seqs == sorted(set(seqs))
    assert len({e["event_id"] for e in events}) == len(events)
    await eventually(lambda: is_status(thread, run_id, "success"), "the run's row")


async def is_status(thread: Thread, run_id: str, status: str) -> bool:
    return await thread.status(run_id) == status


async def test_a_stream_stays_open_over_runs(thread):
    async with thread.listening("lifecycle", "values") as events:
        await thread.start("x")
        await eventually(lambda: rested()(events), "the first end")
        await thread.start("x")
        await eventually(lambda: rested(2)(events), "the second end")
    assert phases(events) == ["running", "completed"] * 2
    assert values(events)[-1]["items"] == ["work", "work"]


def as_many_as(due: list[Any]) -> Callable[[list[Any]], bool]:
    return lambda events: len(events) >= len(due)


async def test_since_gives_exactly_what_comes_after(thread):
    await thread.start("sub")
    whole = await thread.heard(rested())
    for k in (0, 1, len(whole) // 2, len(whole) - 1):
        rest = whole[k:]
        assert await thread.heard(as_many_as(rest), since=whole[k - 1]["seq"] if k else 0) == rest
    async with thread.listening(since=whole[-1]["seq"]) as nothing:
        await asyncio.sleep(0.2)
        assert nothing == []


async def test_a_question_and_its_answer(thread):
    await thread.start("sub")
    first = await thread.heard(rested())
    (question,) = [e for e in first if e["method"] == "input.requested"]
    assert question["params"]["data"]["payload"] == {"q": "inside"}
    assert question["params"]["namespace"][0].startswith("sub:")
    assert phases(first) == ["running", "interrupted"]
    interrupt_id = asked(first)[0]
    told = await thread.command("input.respond", namespace=[], interrupt_id=interrupt_id, response="yes")
    assert (told["type"], told["result"]) == ("success", {})
    second = await thread.heard(rested(), since=first[-1]["seq"])
    assert phases(second) == ["running", "completed"]
    assert values(second)[-1]["items"] == ["work", "work", "yes"]
    again = await thread.command("input.respond", interrupt_id=interrupt_id, response="yes")
    assert again["error"] == "no_such_interrupt"


async def test_a_question_is_announced_when_it_can_be_answered(thread):
    """No answer may find a run that still runs."""
    async with thread.listening("input") as events:
        await thread.start("ask")
        await eventually(lambda: asked(events), "the question")
        told = await thread.command("input.respond", interrupt_id=asked(events)[0], response="now")
        assert told["type"] == "success"


async def test_two_questions_answered_at_once(thread):
    await thread.start("two")
    first = await thread.heard(rested(), "lifecycle", "input")
    ids = asked(first)
    assert len(ids) == 2
    answers = [{"namespace": [], "interrupt_id": each, "response": f"to {n}"} for n, each in enumerate(ids)]
    told = await thread.command("input.respond", responses=answers)
    assert told["type"] == "success"
    second = await thread.heard(rested(), since=first[-1]["seq"])
    assert values(second)[-1]["items"] == ["work", "to 0", "to 1"]


async def test_of_two_answers_to_one_question_one_counts(thread):
    await thread.start("ask")
    (interrupt_id,) = asked(await thread.heard(rested(), "lifecycle", "input"))
    told = await asyncio.gather(
        *(thread.command("input.respond", interrupt_id=interrupt_id, response=n) for n in range(4))
    )
    assert sorted(each["type"] for each in told) == ["error", "error", "error", "success"]
    events = await thread.heard(rested(2), "lifecycle", "values")
    assert len(values(events)[-1]["items"]) == 2


async def test_an_answer_can_change_the_state_and_jump(thread):
    await thread.start("ask")
    (interrupt_id,) = asked(await thread.heard(rested(), "lifecycle", "input"))
    told = await thread.command(
        "input.respond", interrupt_id=interrupt_id, response="r", update={"items": ["patched"]}, metadata={"m": 1}
    )
    assert told["type"] == "success"
    events = await thread.heard(rested(2), "lifecycle", "values")
    assert set(values(events)[-1]["items"]) == {"work", "patched", "r"}
    runs = (await thread.client.get(f"/threads/{thread.id}/runs")).json()
    assert runs[0]["metadata"]["m"] == 1


async def test_a_start_on_a_thread_that_waits_is_the_answer(thread):
    await thread.start("ask")
    first = await thread.heard(rested(), "lifecycle", "input")
    told = await thread.command("run.start", assistant_id="g", input="my answer")
    assert told["meta"]["applied_through_seq"] >= first[-1]["seq"]
    second = await thread.heard(rested(), since=told["meta"]["applied_through_seq"])
    assert phases(second) == ["running", "completed"]
    assert values(second)[-1]["items"] == ["work", "my answer"]


async def test_a_fork_on_a_thread_that_waits_is_no_answer(thread):
    await thread.start("ask")
    await thread.heard(rested(), "lifecycle", "input")
    history = (await thread.client.get(f"/threads/{thread.id}/history")).json()
    fork = {"configurable": {"checkpoint_id": history[-1]["checkpoint"]["checkpoint_id"]}}
    told = await thread.command("run.start", assistant_id="g", input={"mode": "x"}, config=fork)
    second = await thread.heard(rested(), since=told["meta"]["applied_through_seq"])
    assert phases(second) == ["running", "completed"]
    assert values(second)[-1]["mode"] == "x"


async def test_a_failure_is_told_and_the_stream_stays(thread):
    async with thread.listening("lifecycle") as events:
        await thread.start("error")
        await eventually(lambda: rested()(events), "the end")
        assert events[-1]["params"]["data"] == {"event": "failed", "graph_name": "g", "error": "boom"}
        await thread.start("x")
        await eventually(lambda: rested(2)(events), "another run")
    assert phases(events) == ["running", "failed", "running", "completed"]


async def test_a_cancelled_run_is_told_as_failed(thread):
    async with thread.listening("lifecycle", "values") as events:
        run_id = await thread.start("slow")
        await eventually(lambda: values(events), "the run to begin")
        answer = await thread.client.post(f"/threads/{thread.id}/runs/{run_id}/cancel", params={"wait": 1})
        assert answer.status_code == 200
        await eventually(lambda: rested()(events), "the end")
    assert phases(events) == ["running", "failed"]


async def test_runs_of_the_other_api_are_seen_too(thread):
    async with thread.listening() as events:
        sent = {"assistant_id": "g", "input": {"mode": "ask"}, "if_not_exists": "create", "stream_mode": ["values"]}
        await thread.client.post(f"/threads/{thread.id}/runs/wait", json=sent)
        await eventually(lambda: rested()(events), "the end")
    assert phases(events) == ["running", "interrupted"]
    assert values(events)[-1]["items"] == ["work"]
    assert all("__interrupt__" not in each for each in values(events))
    assert events[0]["params"]["data"]["graph_name"] == "g"
    told = await thread.command("input.respond", interrupt_id=asked(events)[0], response="yes")
    assert told["type"] == "success"


@pytest.mark.parametrize(
    ("asking", "namespaces"),
    [
        ({"namespaces": [[]], "depth": 0}, {0}),
        ({"namespaces": [["sub"]]}, {1}),
        ({}, {0, 1}),
    ],
)
async def test_only_the_namespaces_asked_for(thread, asking: dict[str, Any], namespaces: set[int]):
    await thread.start("sub")
    everything = await thread.heard(rested(), "values", "lifecycle")
    due = [e for e in everything if len(e["params"]["namespace"]) in namespaces]
    assert await thread.heard(as_many_as(due), "values", "lifecycle", **asking) == due


async def test_a_named_channel_of_custom_events(thread):
    await thread.start("x")
    (event,) = await thread.heard(bool, "custom:step")
    assert event["params"]["data"] == {"name": "step", "x": 1}
    async with thread.listening("custom:other") as events:
        await asyncio.sleep(0.2)
        assert events == []


async def test_the_tree_of_a_run(thread):
    assert (await thread.command("agent.getTree"))["error"] == "no_such_run"
    await thread.start("sub")
    events = await thread.heard(rested())
    (child,) = [e["params"]["namespace"] for e in events if e["method"] == "input.requested"]
    told = await thread.command("agent.getTree")
    sub = {"namespace": child, "graph_name": "sub", "status": "interrupted"}
    root = {"namespace": [], "graph_name": "g", "status": "interrupted", "children": [sub]}
    assert told["result"]["tree"] == root


async def test_the_strategy_for_a_busy_thread(thread):
    async with thread.listening("values", "lifecycle") as events:
        await thread.start("slow")
        await eventually(lambda: values(events), "the run to begin")
        told = await thread.command("run.start", assistant_id="g", input={"mode": "x"}, multitask_strategy="reject")
        assert told["error"] == "unknown_error"
        assert told["message"].startswith("409:")
        await thread.start("x", multitask_strategy="interrupt")
        await eventually(lambda: rested(2)(events), "the end")
    assert phases(events) == ["running", "interrupted", "running", "completed"]


async def test_two_starts_of_one_new_thread_are_two_runs(thread):
    async with thread.listening("lifecycle") as events:
        runs = await asyncio.gather(*(thread.start("x") for _ in range(4)))
        await eventually(lambda: rested(4)(events), "the ends")
    assert len(set(runs)) == 4
    assert phases(events) == ["running", "completed"] * 4


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("state.get", {}, "unknown_command"),
        ("subscription.subscribe", {"channels": ["values"]}, "unknown_command"),
        ("run.start", {"input": {}}, "invalid_argument"),
        ("run.start", {"assistant_id": 5}, "invalid_argument"),
        ("run.start", {"assistant_id": "g", "multitask_strategy": "nonsense"}, "invalid_argument"),
        ("run.start", {"assistant_id": "nonsense", "input": {}}, "unknown_error"),
        ("input.respond", {}, "invalid_argument"),
        ("input.respond", {"responses": [{"interrupt_id": 5}]}, "invalid_argument"),
        ("input.respond", {"interrupt_id": "x", "response": 1}, "no_such_run"),
    ],
)
async def test_a_refusal_is_an_answer(thread, method, params, code):
    told = await thread.command(method, **params)
    assert (told["type"], told["error"]) == ("error", code)
    assert told["message"]
    assert (await thread.client.get(f"/threads/{thread.id}")).status_code == 404


@pytest.mark.parametrize(
    "body", ["garbage", "[1]", "5", '{"method":"run.start"}', '{"id":"1","method":"x"}', '{"id":1}']
)
async def test_what_is_no_command(client: httpx.AsyncClient, body: str):
    answer = await client.post(f"/threads/{uuid4()}/commands", content=body)
    assert answer.status_code == 400
    assert answer.json().get("error", "invalid_argument") == "invalid_argument"


@pytest.mark.parametrize(
    "body", [{}, {"channels": []}, {"channels": ["nonsense"]}, {"channels": ["values"], "since": -1}]
)
async def test_what_is_no_subscription(client: httpx.AsyncClient, body: Any):
    answer = await client.post(f"/threads/{uuid4()}/stream/events", content=json.dumps(body))
    assert answer.status_code == 400
    assert list(answer.json()) == ["detail"]


async def test_an_id_in_capitals_is_the_same_thread(thread):
    await thread.start("x")
    shouted = Thread(thread.client)
    shouted.id = thread.id.upper()
    assert phases(await shouted.heard(rested(), "lifecycle")) == ["running", "completed"]
    assert (await shouted.command("agent.getTree"))["type"] == "success"
    shouted.id = "nonsense"
    told = await shouted.command("run.start", assistant_id="g", input={})
    assert (told["error"], told["message"]) == ("unknown_error", "422: Invalid thread ID")
