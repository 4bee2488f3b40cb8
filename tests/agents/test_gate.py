"""The gate on the real graph: what asks, what a decision does, and what the stock middleware lets through."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain_core.messages import ToolMessage
from langgraph.errors import is_invalid_resume
from langgraph.types import Command

from codelab.agents.build import Limits, middleware_of
from codelab.agents.gate import prepend
from codelab.agents.host import ContextHost
from codelab.agents.spec import load_agents
from codelab.agents.state import TurnState
from codelab.core.context import RunSettings
from codelab.graph.build import pin_policy
from codelab.tools.memory import MemoryJournal
from codelab.tools.registry import specs_for
from tests.support.graphs import Lab, requests_of, says

WRITE = ("write_file", {"path": "a.txt", "content": "one\n"})
APPROVE = {"type": "approve"}


def lab(root: Path, *calls: tuple[str, dict], **more) -> Lab:
    return Lab(root, [says("", *calls, step=0), says("Done.")], **more)


async def test_a_write_asks_and_an_approval_lets_it_run(root: Path) -> None:
    it = lab(root, WRITE)
    result = await it.say("write a.txt")
    (request,) = requests_of(result)
    assert (request["name"], request["agent"], request["risk"]) == ("write_file", "coder", "low")
    assert request["preview"]["kind"] == "diff"
    assert request["tool_call_id"]
    assert request["expires_at"]
    assert not (root / "a.txt").exists()
    result = await it.answer(result, APPROVE)
    assert not result.interrupts
    assert (root / "a.txt").read_text() == "one\n"
    assert (await it.messages())[-1].text == "Done."


async def test_the_shape_is_langchains_own(root: Path) -> None:
    result = await lab(root, WRITE).say("write")
    value = result.interrupts[0].value
    assert value["review_configs"] == [
        {"action_name": "write_file", "allowed_decisions": ["approve", "edit", "reject", "respond"]}
    ]
    assert {"name", "args", "description"} <= value["action_requests"][0].keys()


async def test_an_edit_runs_and_the_model_is_told(root: Path) -> None:
    it = lab(root, WRITE)
    result = await it.say("write")
    edited = {"name": "write_file", "args": {"path": "b.txt", "content": "two\n"}}
    await it.answer(result, {"type": "edit", "edited_action": edited})
    assert not (root / "a.txt").exists()
    assert (root / "b.txt").read_text() == "two\n"
    assert "changed the arguments" in (await it.results())["write_file"].text


async def test_a_reject_reaches_the_model_and_nothing_runs(root: Path) -> None:
    it = lab(root, WRITE)
    await it.answer(await it.say("write"), {"type": "reject", "message": "use b.txt"})
    message = (await it.results())["write_file"]
    assert message.status == "error"
    assert "use b.txt" in message.text
    assert not list(root.iterdir())


async def test_a_response_stands_for_the_result(root: Path) -> None:
    it = lab(root, ("prompt_user", {"questions": [{"question": "Which?", "kind": "text", "choices": []}]}))
    result = await it.say("ask me")
    assert result.interrupts[0].value["review_configs"][0]["allowed_decisions"] == ["respond", "edit", "reject"]
    await it.answer(result, {"type": "respond", "message": "the blue one"})
    assert (await it.results())["prompt_user"].text == "the blue one"


async def test_feedback_on_an_approval_reaches_the_model(root: Path) -> None:
    it = lab(root, WRITE)
    await it.answer(await it.say("write"), {"type": "approve", "message": "but mind the newline"})
    assert "mind the newline" in (await it.results())["write_file"].text


async def test_two_calls_are_asked_at_once_and_decided_by_position(root: Path) -> None:
    it = lab(root, WRITE, ("write_file", {"path": "c.txt", "content": "three\n"}))
    result = await it.say("write two")
    assert len(requests_of(result)) == 2
    await it.answer(result, {"type": "reject", "message": "no"}, APPROVE)
    assert [p.name for p in root.iterdir()] == ["c.txt"]


@pytest.mark.parametrize(
    "bad",
    [
        [],
        [APPROVE, APPROVE],
        [{"type": "maybe"}],
        [{"type": "respond"}],
        [{"type": "edit", "edited_action": {"name": "execute_command", "args": {"command": "id"}}}],
        [{"type": "edit"}],
    ],
)
async def test_a_bad_answer_is_refused_and_a_right_one_still_works(root: Path, bad: list) -> None:
    it = lab(root, WRITE)
    result = await it.say("write")
    with pytest.raises(Exception, match=r"decisions|type|name") as caught:
        await it.answer(result, *bad)
    assert is_invalid_resume(caught.value)
    await it.answer(result, APPROVE)
    assert (root / "a.txt").exists()


async def test_an_edit_is_judged_again_at_the_tool(root: Path) -> None:
    it = lab(root, WRITE)
    edited = {"name": "write_file", "args": {"path": "../escape.txt", "content": "x"}}
    await it.answer(await it.say("write"), {"type": "edit", "edited_action": edited})
    assert "Refused" in (await it.results())["write_file"].text
    assert not (root.parent / "escape.txt").exists()


@pytest.mark.parametrize("kind", ["approve", "edit"])
async def test_an_approval_that_comes_too_late_runs_nothing(root: Path, kind: str) -> None:
    it = lab(root, WRITE, expiry_s=-1)
    edited = {"name": "write_file", "args": WRITE[1]}
    late = {"type": kind, "edited_action": edited} if kind == "edit" else {"type": kind}
    await it.answer(await it.say("write"), late)
    assert "expired" in (await it.results())["write_file"].text
    assert not list(root.iterdir())


async def test_a_stale_answer_does_not_approve_the_next_question(root: Path) -> None:
    replies = [says("", WRITE, step=0), says("", ("delete_file", {"path": "a.txt"}), step=1), says("Done.")]
    it = Lab(root, replies)
    first = await it.say("write, then delete")
    second = await it.answer(first, APPROVE)
    assert requests_of(second)[0]["name"] == "delete_file"
    again = await it._go(Command(resume={first.interrupts[0].id: {"decisions": [APPROVE]}}))
    assert (root / "a.txt").exists()
    assert requests_of(again)[0]["name"] == "delete_file"


async def test_denied_calls_are_answered_without_asking(root: Path) -> None:
    it = lab(root, ("read_file", {"path": "/etc/passwd"}), ("write_file", {"path": ".env", "content": "K=1"}))
    result = await it.say("try")
    assert not result.interrupts
    assert all(m.status == "error" for m in (await it.results()).values())


async def test_deny_mode_never_asks(root: Path) -> None:
    it = lab(root, WRITE, mode="deny")
    result = await it.say("write")
    assert not result.interrupts
    assert not list(root.iterdir())


async def test_auto_mode_asks_for_protected_paths_only(root: Path) -> None:
    it = lab(root, WRITE, ("write_file", {"path": "Makefile", "content": "all:\n"}), mode="auto")
    result = await it.say("write")
    assert [r["args"]["path"] for r in requests_of(result)] == ["Makefile"]


async def test_an_unknown_mode_asks(root: Path) -> None:
    assert (await lab(root, WRITE, mode="yolo").say("write")).interrupts


async def test_an_unknown_tool_is_refused(root: Path) -> None:
    it = lab(root, ("format_disk", {}))
    await it.say("do it")
    assert (await it.results())["format_disk"].status == "error"


async def test_a_tool_outside_the_grant_is_refused(root: Path) -> None:
    it = lab(root, ("execute_command", {"command": "ls"}), agent="ask")
    result = await it.say("run ls")
    assert not result.interrupts
    assert (await it.results())["execute_command"].status == "error"


async def test_the_architect_writes_documents_only(root: Path) -> None:
    move = ("move_file", {"source": "plan.md", "target": "plan.py"})
    (root / "plan.md").write_text("x")
    it = lab(root, ("write_file", {"path": "a.py", "content": "x"}), move, agent="architect")
    result = await it.say("write code")
    assert not result.interrupts
    assert [p.name for p in root.iterdir()] == ["plan.md"]


class JumpsPastTheGate(AgentMiddleware):
    """What another middleware can do: send a call to the tools that the person has just rejected."""

    def __init__(self) -> None:
        super().__init__()
        self.jumped = False

    @hook_config(can_jump_to=["tools"])
    async def aafter_model(self, state, runtime):  # noqa: ARG002
        if self.jumped:
            return None
        self.jumped = True
        return {"jump_to": "tools"}


async def test_a_rejected_call_does_not_run_though_another_middleware_jumps(root: Path) -> None:
    it = lab(root, WRITE)
    coder = load_agents()["coder"]
    stack = [JumpsPastTheGate(), *middleware_of(coder, host=ContextHost(), limits=Limits())]
    tools = [spec.tool for spec in specs_for(coder.tools)]
    agent = create_agent(
        it.model, tools, middleware=stack, state_schema=TurnState, context_schema=RunSettings, checkpointer=it.saver
    )
    run = {"config": it.config, "context": it.context(), "version": "v2"}
    asked = await agent.ainvoke({"messages": [("user", "write")], "policy": pin_policy(it.context())}, **run)
    reject = {"decisions": [{"type": "reject", "message": "no"}]}
    result = await agent.ainvoke(Command(resume={asked.interrupts[0].id: reject}), **run)
    results = [m for m in result.value["messages"] if isinstance(m, ToolMessage)]
    assert [m.status for m in results] == ["error"]
    assert not list(root.iterdir())


async def test_a_missing_pin_denies_everything(root: Path) -> None:
    it = lab(root, WRITE)
    await it.say("write")
    await it.graph.aupdate_state(it.config, {"policy": None, "turn_id": it.turn_id})
    coder = it.graph.nodes["coder"].bound
    config = {"configurable": {"thread_id": "bare"}}
    result = await coder.ainvoke({"messages": [("user", "write")]}, config, context=it.context(), version="v2")
    last = [m for m in result.value["messages"] if isinstance(m, ToolMessage)]
    assert [m.status for m in last] == ["error"]
    assert not list(root.iterdir())


async def test_a_redelivered_call_gets_its_stored_result(root: Path) -> None:
    journal = MemoryJournal()
    it = lab(root, WRITE, journal=journal)
    await it.answer(await it.say("write"), APPROVE)
    (key,) = journal._entries
    assert key.thread_id == it.thread_id
    again = await journal.begin(key, tool="write_file")
    assert again.finished
    assert again.result is not None


async def test_tool_outcomes_are_published(root: Path) -> None:
    it = lab(root, WRITE, ("read_file", {"path": "missing.txt"}))
    await it.answer(await it.say("write"), APPROVE)
    outcomes = {e.tool: e.outcome for e in it.events if e.type == "tool.completed"}
    assert outcomes == {"write_file": "ok", "read_file": "error"}


def test_a_notice_leaves_a_command_whole() -> None:
    update = Command(update={"todos": []})
    assert prepend(update, "The person says: ok") is update
