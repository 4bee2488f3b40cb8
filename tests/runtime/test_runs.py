"""A turn from message to rest: rows, log, messages, approvals."""

import asyncio

import pytest
from sqlalchemy import select

from codelab.core.context import RunSettings
from codelab.core.errors import Conflict, InvalidInput, NotFound
from codelab.core.types import Principal, RunStatus, ThreadStatus
from codelab.store.models import TurnRow
from tests.runtime.conftest import ME, Lab, Open
from tests.runtime.toy import Toy


async def test_a_plain_turn(lab: Lab) -> None:
    run = await lab.say("hi")
    assert (run.status, run.attempt, run.usage["total_tokens"]) == (RunStatus.SUCCESS, 1, 5)
    assert await lab.types() == [
        "message.user",
        "run.started",
        "agent.switched",
        "state",
        "agent.started",
        "text.start",
        "text.delta",
        "text.end",
        "agent.finished",
        "run.finished",
    ]
    assert await lab.messages() == [("user", "hi"), ("assistant", "hello there friend")]
    thread = await lab.thread()
    assert (thread.status, thread.agent, thread.title) == (ThreadStatus.IDLE, "coder", "hi")
    assert thread.last_seq == len(await lab.events())


async def test_a_turn_with_an_approval(lab: Lab, toy: Toy) -> None:
    run = await lab.say("touch")
    assert (run.status, run.reason) == (RunStatus.INTERRUPTED, "approval")
    assert (await lab.thread()).status == ThreadStatus.INTERRUPTED
    assert await lab.messages() == [("user", "touch"), ("assistant", "I will touch it")]
    (asked,) = await lab.pending()
    assert (asked.tool, asked.arguments, asked.agent, asked.risk) == ("touch", {"path": "a.txt"}, "coder", "low")
    last = (await lab.events())[-2:]
    assert [e.type for e in last] == ["approval.requested", "run.finished"]
    assert last[1].data["interrupts"] == [last[0].data["approval"]]
    assert toy.ran == []

    resumed = await lab.decide()
    assert (resumed.status, resumed.resumes_run_id, resumed.turn_id) == (RunStatus.SUCCESS, run.id, run.turn_id)
    assert toy.ran == [("touch", "a.txt")]
    assert [role for role, _ in await lab.messages()] == ["user", "assistant", "tool", "assistant"]
    types = await lab.types()
    assert types[types.index("approval.decided") :] == [
        "approval.decided",
        "run.started",
        "state",
        "agent.started",
        "tool.started",
        "custom",
        "tool.result",
        "text.start",
        "text.delta",
        "text.end",
        "agent.finished",
        "run.finished",
    ]
    assert (await lab.thread()).status == ThreadStatus.IDLE


async def test_subgraph_checkpoints_go_when_the_turn_rests(lab: Lab) -> None:
    await lab.say("touch")
    assert "coder" in await _namespaces(lab)
    await lab.decide()
    assert await _namespaces(lab) == {""}


async def _namespaces(lab: Lab) -> set[str]:
    config = {"configurable": {"thread_id": lab.thread_id}}
    found = [c.config["configurable"]["checkpoint_ns"] async for c in lab.rt.checkpoints.reader.alist(config)]
    return {name.split(":")[0] for name in found}


async def test_one_run_at_a_time(lab: Lab, toy: Toy) -> None:
    gate = asyncio.Event()
    toy.inside = lambda _name: gate.wait()
    run = await lab.start("look")
    with pytest.raises(Conflict) as refused:
        await lab.start("again")
    assert refused.value.code == "thread_busy"
    gate.set()
    assert (await lab.wait(run)).status == RunStatus.SUCCESS


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"agent": "nobody"}, "unknown_agent"),
        ({"approval_mode": "yolo"}, "bad_request"),
        ({"model": "gpt"}, "bad_request"),
    ],
)
async def test_nonsense_is_refused_before_anything_is_stored(lab: Lab, settings: dict, code: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        await lab.start("hi", **settings)
    assert refused.value.code == code
    assert await lab.events() == []
    assert await lab.rt.runs.list(ME, lab.thread_id) == []


async def test_limits_are_capped(lab: Lab) -> None:
    run = await lab.say("hi", max_model_calls=10_000, max_tool_calls=3)
    assert (run.settings["max_model_calls"], run.settings["max_tool_calls"]) == (60, 3)


async def test_others_see_nothing(lab: Lab) -> None:
    run = await lab.say("touch")
    (asked,) = await lab.pending()
    for other in (Principal("eve"), Principal("local", tenant_id="other")):
        with pytest.raises(NotFound):
            await lab.rt.threads.get(other, lab.thread_id)
        with pytest.raises(NotFound):
            await lab.rt.runs.get(other, lab.thread_id, run.id)
        with pytest.raises(NotFound):
            await lab.rt.runs.start(other, lab.thread_id, text="x", settings=RunSettings())
        with pytest.raises(NotFound):
            await lab.rt.approvals.decide(other, asked.id, "approve")
        assert await lab.rt.approvals.list(other) == []
        assert (await lab.rt.threads.list(other)).items == []
        with pytest.raises(NotFound):
            await lab.rt.threads.delete(other, lab.thread_id)


async def test_cancel_keeps_what_was_said(lab: Lab, toy: Toy) -> None:
    entered = asyncio.Event()

    async def inside(_name: str) -> None:
        entered.set()
        await asyncio.sleep(30)

    toy.inside = inside
    run = await lab.start("look")
    await asyncio.wait_for(entered.wait(), 5)
    await lab.rt.runs.cancel(ME, lab.thread_id, run.id)
    run = await lab.wait(run)
    assert (run.status, run.reason) == (RunStatus.INTERRUPTED, "cancelled")
    messages = await lab.messages()
    assert [role for role, _ in messages] == ["user", "assistant", "tool"]
    assert "stopped the run" in messages[-1][1]
    assert (await lab.types())[-3:] == ["agent.finished", "tool.result", "run.finished"]
    assert (await lab.thread()).status == ThreadStatus.IDLE
    with pytest.raises(Conflict):
        await lab.rt.runs.cancel(ME, lab.thread_id, run.id)
    toy.inside = None
    assert (await lab.say("hi")).status == RunStatus.SUCCESS


async def test_a_new_message_folds_the_unfinished_turn(lab: Lab, toy: Toy) -> None:
    await lab.say("touch")
    (asked,) = await lab.pending()
    run = await lab.say("hi")
    assert run.status == RunStatus.SUCCESS
    assert (await lab.rt.approvals.get(ME, asked.id)).status == "cancelled"
    roles = [role for role, _ in await lab.messages()]
    assert roles == ["user", "assistant", "tool", "user", "assistant"]
    assert toy.ran == []
    results = [e for e in await lab.events() if e.type == "tool.result"]
    assert [(e.data["tool_call_id"], e.data["status"]) for e in results] == [(asked.tool_call_id, "error")]
    with pytest.raises(Conflict) as refused:
        await lab.rt.approvals.decide(ME, asked.id, "approve")
    assert refused.value.code == "approval_already_decided"


async def test_cancel_while_waiting_gives_the_approvals_up(lab: Lab) -> None:
    run = await lab.say("touch")
    await lab.rt.runs.cancel(ME, lab.thread_id, run.id)
    assert await lab.pending() == []
    assert (await lab.thread()).status == ThreadStatus.IDLE
    assert (await lab.say("hi")).status == RunStatus.SUCCESS
    assert [role for role, _ in await lab.messages()] == ["user", "assistant", "tool", "user", "assistant"]


async def test_a_failure_is_told_and_folded(lab: Lab, toy: Toy) -> None:
    async def inside(_name: str) -> None:
        raise RuntimeError("the tool broke")

    toy.inside = inside
    run = await lab.say("look")
    assert run.status == RunStatus.ERROR
    assert run.error.code == "run_failed"
    assert "the tool broke" in run.error.message
    assert (await lab.thread()).status == ThreadStatus.ERROR
    assert [role for role, _ in await lab.messages()] == ["user", "assistant", "tool"]
    toy.inside = None
    assert (await lab.say("hi")).status == RunStatus.SUCCESS
    assert (await lab.thread()).status == ThreadStatus.IDLE


async def test_a_waiting_turn_that_the_agent_api_stops_ends_whole(open_lab: Open, database_url: str) -> None:
    async with open_lab(database_url, max_concurrent=0) as lab:
        run = await lab.start("hello")
        await lab.rt.agent.runs.cancel(ME, lab.thread_id, run.id, action="rollback")
    async with open_lab(database_url, thread_id=lab.thread_id) as lab:
        assert (await lab.wait(run)).status == "interrupted"
        async with lab.rt.database.read() as session:
            turns = (await session.scalars(select(TurnRow.status).where(TurnRow.thread_id == lab.thread_id))).all()
        assert turns == ["interrupted"]
        assert (await lab.thread()).status == "idle"
