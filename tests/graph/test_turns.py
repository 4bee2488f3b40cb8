"""Turns on the real graph: who takes them, hand-offs and their limits, the router's question, what ends a turn."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage, ToolMessage

from codelab.agents.build import Limits
from codelab.agents.host import ContextHost
from codelab.agents.spec import load_agents
from codelab.core.errors import ConfigError
from codelab.graph.build import build_graph
from codelab.llm.matching import When
from codelab.llm.models import StaticModels
from codelab.llm.scripted import Reply, ScriptedChatModel
from tests.support.graphs import Lab, requests_of, says

SWITCH = ("switch_agent", {"agent": "coder", "reason": "the cause is in a.py"})


def routed(agent: str, confidence: float) -> Reply:
    shape = {"agent": agent, "confidence": confidence, "reason": "because"}
    return Reply(when=When(structured=True), structured=shape)


def speakers(it: Lab) -> list[str]:
    names = ("Coder", "Architect", "Debug", "Ask", "a coding agent working alone")
    return [name for r in it.model.requests for name in names if f"You are {name}" in r.system]


def switches(it: Lab) -> list[tuple[str | None, str, str]]:
    return [(e.source, e.target, e.method) for e in it.events if e.type == "agent.switched"]


async def test_rules_route_without_a_model_call(root: Path) -> None:
    it = Lab(root, [says("It divides by zero.")], agent=None)
    await it.say("The test test_mean fails with ZeroDivisionError")
    assert speakers(it) == ["Debug"]
    assert switches(it) == [(None, "debug", "rules")]


async def test_the_model_reads_what_the_rules_cannot(root: Path) -> None:
    it = Lab(root, [routed("architect", 0.9), says("A plan.")], agent=None)
    await it.say("hm, the whole billing thing")
    assert switches(it) == [(None, "architect", "model")]


async def test_routing_is_sticky(root: Path) -> None:
    it = Lab(root, [routed("ask", 0.2), says("ok")], agent=None)
    await it.say("@coder begin")
    await it.say("hm, the whole billing thing")
    assert speakers(it) == ["Coder", "Coder"]


async def test_a_broken_router_model_does_not_stop_the_conversation(root: Path) -> None:
    it = Lab(root, [says("ok")], agent=None)  # no structured reply: the model raises
    await it.say("@debug begin")
    await it.say("hm, the whole billing thing")
    assert speakers(it) == ["Debug", "Debug"]


async def test_a_broken_router_model_is_not_blamed_on_the_person(root: Path) -> None:
    it = Lab(root, [says("ok")], agent=None)
    assert not (await it.say("hm, the whole billing thing")).interrupts
    assert speakers(it) == ["Ask"]


async def test_low_confidence_asks_with_options(root: Path) -> None:
    it = Lab(root, [routed("ask", 0.2), says("ok")], agent=None)
    result = await it.say("hm, the whole billing thing")
    (request,) = requests_of(result)
    options = request["args"]["questions"][0]["choices"]
    assert request["name"] == "prompt_user"
    assert 2 <= len(options) <= 4
    await it.answer(result, {"type": "respond", "message": "architect please"})
    assert switches(it) == [(None, "architect", "clarified")]


async def test_without_anybody_to_ask_the_guess_takes_it(root: Path) -> None:
    it = Lab(root, [routed("ask", 0.2), says("ok")], agent=None, mode="deny")
    assert not (await it.say("hm, the whole billing thing")).interrupts
    assert speakers(it) == ["Ask"]


async def test_a_hand_off_goes_by_the_edge(root: Path) -> None:
    (root / "a.py").write_text("x = 1\n")
    replies = [
        says("", ("read_file", {"path": "a.py"}), agent="You are Debug", step=0),
        says("", SWITCH, agent="You are Debug"),
        says("Fixed.", agent="You are Coder"),
    ]
    it = Lab(root, replies, agent="debug")
    await it.say("why")
    assert switches(it) == [(None, "debug", "request"), ("debug", "coder", "handoff")]
    messages = await it.messages()
    assert messages[-1].text == "Fixed."
    state = (await it.graph.aget_state(it.config)).values
    assert (state["agent"], state["hops"], state.get("handoff")) == ("coder", 1, None)


async def test_two_hand_offs_in_one_step_do_not_crash(root: Path) -> None:
    other = ("switch_agent", {"agent": "ask", "reason": "or ask"})
    it = Lab(root, [says("", SWITCH, other, agent="You are Debug"), says("Here.")], agent="debug")
    await it.say("why")
    assert (await it.messages())[-1].text == "Here."


async def test_back_and_forth_without_news_stops(root: Path) -> None:
    back = ("switch_agent", {"agent": "debug", "reason": "not mine"})
    replies = [
        says("", SWITCH, agent="You are Debug", without=()),
        says("I stay.", agent="You are Coder", result="nothing new was found"),
        says("", back, agent="You are Coder"),
    ]
    it = Lab(root, replies, agent="debug")
    await it.say("why")
    assert speakers(it) == ["Debug", "Coder", "Coder"]
    assert (await it.messages())[-1].text == "I stay."


async def test_the_hop_limit_is_told_to_the_agent(root: Path) -> None:
    replies = [says("I stay.", result="used its 0 hand-offs"), says("", SWITCH)]
    it = Lab(root, replies, agent="debug", limits=Limits(max_hops=0))
    await it.say("why")
    assert (await it.messages())[-1].text == "I stay."


async def test_an_unknown_target_is_an_error_result(root: Path) -> None:
    replies = [
        says("I stay.", result="there is no agent"),
        says("", ("switch_agent", {"agent": "root", "reason": "x"})),
    ]
    it = Lab(root, replies)
    await it.say("go")
    assert (await it.messages())[-1].text == "I stay."


async def test_model_calls_are_limited_and_the_person_can_go_on(root: Path) -> None:
    (root / "a.py").write_text("x = 1\n")
    it = Lab(root, [says("", ("list_files", {"path": "."}))], limits=Limits(max_model_calls=2))
    await it.say("go")
    assert "used its 2 model calls" in (await it.messages())[-1].text
    assert len(it.model.requests) == 2
    await it.say("continue")
    assert len(it.model.requests) == 4


async def test_a_client_may_lower_but_not_raise_the_limit(root: Path) -> None:
    it = Lab(root, [says("", ("list_files", {"path": "."}))], limits=Limits(max_model_calls=2), max_model_calls=99)
    await it.say("go")
    assert len(it.model.requests) == 2
    it.max_model_calls = 1
    await it.say("go")
    assert len(it.model.requests) == 3


async def test_tool_calls_are_limited(root: Path) -> None:
    it = Lab(root, [says("", ("list_files", {"path": "."}))], limits=Limits(max_tool_calls=2))
    await it.say("go")
    assert "used its 2 tool calls" in (await it.messages())[-1].text


async def test_a_loop_is_told_to_the_model(root: Path) -> None:
    it = Lab(root, [says("I stop.", result="same result 3 times"), says("", ("list_files", {"path": "."}))])
    await it.say("go")
    assert (await it.messages())[-1].text == "I stop."
    assert sum(isinstance(m, ToolMessage) for m in await it.messages()) == 4


async def test_finish_ends_the_turn(root: Path) -> None:
    it = Lab(root, [says("", ("finish", {"result": "all done"}))])
    await it.say("go")
    assert len(it.model.requests) == 1
    await it.say("and again")
    assert len(it.model.requests) == 2


async def test_todos_are_pinned_in_the_prompt(root: Path) -> None:
    todos = ("update_todo_list", {"todos": [{"content": "write the test", "status": "in_progress"}]})
    it = Lab(root, [says("", todos, step=0), says("ok")])
    await it.say("go")
    assert "[in_progress] write the test" in it.model.requests[-1].system
    await it.say("more")
    assert "write the test" in it.model.requests[-1].system


async def test_single_mode_has_one_agent_and_no_hand_off(root: Path) -> None:
    it = Lab(root, [says("ok")], agent=None, single=True)
    await it.say("anything")
    assert speakers(it) == ["a coding agent working alone"]
    assert "switch_agent" not in [tool.name for tool in it.model.requests[0].tools]


async def test_an_orphaned_call_is_repaired_before_the_model_sees_it(root: Path) -> None:
    it = Lab(root, [says("", ("write_file", {"path": "a", "content": ""}), step=0, human="go"), says("ok")])
    await it.say("go")
    state = await it.graph.aget_state(it.config, subgraphs=True)
    inner = state.tasks[0]
    await it.graph.aupdate_state(state.config, {"messages": inner.state.values["messages"]}, as_node=inner.name)
    await it.say("never mind")
    kinds = [m.type for m in it.model.requests[-1].messages]
    assert kinds[-4:] == ["human", "ai", "tool", "human"] or kinds[-3:] == ["ai", "tool", "human"]


async def test_a_long_conversation_is_condensed_in_the_view_only(root: Path) -> None:
    replies = [says("They talked about whales.", last="whale"), says("ok")]
    it = Lab(root, replies, limits=Limits(context_tokens=1_000))
    old = [HumanMessage(f"{i} ocean " * 60, id=f"m{i}") for i in range(40)]
    await it.graph.aupdate_state(it.config, {"messages": [*old, HumanMessage("whale", id="w")]}, as_node="coder")
    it.model.script.replies  # noqa: B018 - the script answers the summary request, whose text ends with the whale
    await it.say("go on")
    assert len(await it.messages()) >= 42
    state = (await it.graph.aget_state(it.config)).values
    assert state["summary"]["text"]
    assert len(it.model.requests[-1].messages) < 20


def test_a_graph_needs_agents_that_fit_the_mode() -> None:
    agents = {k: v for k, v in load_agents().items() if not v.single_mode_only}
    with pytest.raises(ConfigError):
        build_graph(agents={}, models=StaticModels(ScriptedChatModel.of()), host=ContextHost())
    with pytest.raises(ConfigError):
        build_graph(agents=agents, models=StaticModels(ScriptedChatModel.of()), host=ContextHost(), mode="single")


async def test_a_router_model_that_names_nobody_we_know_is_not_followed(root: Path) -> None:
    it = Lab(root, [routed("root", 0.9), says("ok")], agent=None)
    await it.say("hm, the whole billing thing")
    assert speakers(it) == ["Ask"]
