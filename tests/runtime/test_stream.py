"""From stream parts to log events: the traps, one by one, on parts as LangGraph really sends them."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langgraph.types import Interrupt

from codelab.runtime.runs.stream import Translator

NS = ("coder:1b3f",)
CALL = {"name": "touch", "args": {"path": "é.txt"}, "id": "c1", "type": "tool_call"}


def part(kind: str, data: Any, ns: tuple = NS) -> dict:
    return {"type": kind, "ns": ns, "data": data}


def chunk(text: str = "", *, last: bool = False, calls: list | None = None, mid: str = "m1") -> dict:
    position = "last" if last else None
    return part("messages", (AIMessageChunk(text, id=mid, chunk_position=position, tool_call_chunks=calls or []), {}))


def piece(args: str | None, index: int | None = 0, call_id: str | None = None, name: str | None = None) -> dict:
    return {"name": name, "args": args, "id": call_id, "index": index, "type": "tool_call_chunk"}


def feed(parts: list[dict], translator: Translator | None = None) -> list[tuple[str, dict]]:
    translator = translator or Translator()
    return [(event.type, event.data) for p in parts for event in translator.feed(p)]


def kinds(events: list[tuple[str, dict]]) -> list[str]:
    return [kind for kind, _ in events if kind != "agent.started"]


def test_text_closes_before_a_call_and_a_call_before_the_next() -> None:
    events = feed(
        [
            chunk("I "),
            chunk("will"),
            chunk(calls=[piece('{"a"', call_id="c1", name="touch")]),
            chunk(calls=[piece(":1}")]),
            chunk(calls=[piece("{}", index=1, call_id="c2", name="look")]),
            chunk(last=True),
        ]
    )
    assert kinds(events) == [
        "text.start",
        "text.delta",
        "text.delta",
        "text.end",
        "tool.call",
        "tool.args",
        "tool.args",
        "tool.call_end",
        "tool.call",
        "tool.args",
        "tool.call_end",
    ]
    assert [d["tool_call_id"] for k, d in events if k == "tool.args"] == ["c1", "c1", "c2"]


def test_pieces_without_an_index_belong_to_the_call_that_is_open() -> None:
    parts = [chunk(calls=[piece("{", index=None, call_id="c1", name="t")]), chunk(calls=[piece("}", index=None)])]
    events = feed([*parts, chunk(last=True)])
    assert kinds(events) == ["tool.call", "tool.args", "tool.args", "tool.call_end"]


def test_a_whole_message_is_said_once() -> None:
    message = AIMessage("hello", id="m1", tool_calls=[CALL])
    whole = part("messages", (message, {}))
    update = part("updates", {"model": {"messages": [message]}})
    events = feed([whole, update, whole])
    assert kinds(events) == ["text.start", "text.delta", "text.end", "tool.call", "tool.args", "tool.call_end"]
    assert dict(events)["tool.args"]["delta"] == '{"path": "é.txt"}'


def test_a_model_that_never_says_last_is_closed_by_its_update() -> None:
    events = feed([chunk("hi"), part("updates", {"model": {"messages": [AIMessage("hi", id="m1")]}})])
    assert kinds(events) == ["text.start", "text.delta", "text.end"]


def test_the_roots_history_dump_is_not_encoded() -> None:
    history = [HumanMessage("x", id="h"), AIMessage("old", id="m0"), AIMessage("hi", id="m1")]
    translator = Translator()
    feed([chunk("hi"), chunk(last=True)], translator)
    assert kinds(feed([part("updates", {"coder": {"messages": history}}, ())], translator)) == ["agent.finished"]


def test_a_message_of_a_root_node_is_said() -> None:
    update = part("updates", {"route": {"messages": [AIMessage("which one?", id="m1")]}}, ())
    assert kinds(feed([update])) == ["text.start", "text.delta", "text.end"]


def test_an_interrupt_counts_once_and_only_at_the_root() -> None:
    asked = Interrupt(value={"action_requests": []}, id="i1")
    translator = Translator()
    assert feed([part("updates", {"__interrupt__": (asked,)})], translator)[1:] == []
    assert translator.interrupts == []
    feed([part("updates", {"__interrupt__": (asked,)}, ())] * 2, translator)
    assert translator.interrupts == [asked]


def test_results_come_once_from_message_update_or_rejection() -> None:
    result = ToolMessage("no", tool_call_id="c1", id="t1", name="touch", status="error")
    events = feed([part("messages", (result, {})), part("updates", {"Gate.after_model": {"messages": [result]}})])
    (found,) = [data for kind, data in events if kind == "tool.result"]
    assert (found["message_id"], found["status"], found["content"]) == ("t1", "error", "no")
    saved = part("updates", {"tools": {"messages": [result]}})
    assert kinds(feed([saved])) == ["tool.result"]
    assert kinds(feed([saved], Translator(results=["c1"]))) == []


def test_commands_from_tools_carry_their_messages() -> None:
    result = ToolMessage("ok", tool_call_id="c1", id="t1", name="switch_agent")
    update = part("updates", {"tools": [{"messages": [result]}, {"todos": []}]})
    assert kinds(feed([update])) == ["tool.result"]


def test_started_tells_the_arguments_that_really_run() -> None:
    started = {"type": "tool.started", "tool_call_id": "c1", "name": "touch", "args": {"path": "edited"}}
    events = feed([part("custom", started)])
    assert events[1:] == [("tool.started", {"tool_call_id": "c1", "name": "touch", "args": {"path": "edited"}})]


def test_state_is_the_roots_values_without_messages_and_only_when_it_changed() -> None:
    values = {"messages": [HumanMessage("x")], "agent": "coder", "todos": [{"content": "t"}]}
    events = feed([part("values", values, ()), part("values", values, ()), part("values", {"agent": "x"})])
    assert events[:1] == [("state", {"agent": "coder", "todos": [{"content": "t"}]})]
    assert kinds(events) == ["state"]


def test_agents_follow_the_namespace_of_any_part() -> None:
    translator = Translator()
    events = feed([part("values", {}, ("coder:1",)), part("values", {}, ("debug:2",))], translator)
    assert [(kind, data["agent"]) for kind, data in events] == [
        ("agent.started", "coder"),
        ("agent.finished", "coder"),
        ("agent.started", "debug"),
    ]
    assert [event.type for event in translator.close()] == ["agent.finished"]
    assert translator.close() == []


def test_closing_ends_what_a_stop_left_open() -> None:
    translator = Translator()
    feed([chunk("half a")], translator)
    assert [event.type for event in translator.close()] == ["text.end", "agent.finished"]


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        ({"type": "ui.progress", "done": 1}, ("custom", {"name": "ui.progress", "value": {"done": 1}})),
        ({"type": "agent.switched", "target": "debug"}, ("agent.switched", {"target": "debug"})),
        ("just text", ("custom", {"name": "custom", "value": "just text"})),
        ({"no": "type"}, ("custom", {"name": "custom", "value": {"no": "type"}})),
    ],
)
def test_custom_parts(sent: Any, logged: tuple) -> None:
    assert feed([part("custom", sent, ())]) == [logged]


def test_usage_adds_up_and_unknown_parts_are_ignored() -> None:
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5}
    translator = Translator()
    for mid in ("m1", "m2"):
        spoken = AIMessageChunk("", id=mid, chunk_position="last", usage_metadata=usage)
        feed([part("messages", (spoken, {}))], translator)
    feed([part("messages", (AIMessage("x", id="m3", usage_metadata=usage), {}))], translator)
    assert translator.usage == {"input_tokens": 9, "output_tokens": 6, "total_tokens": 15}
    assert feed([part("debug", {}, ()), part("messages", (HumanMessage("x", id="h"), {}), ())]) == []


def test_what_stands_in_the_log_is_not_said_again() -> None:
    translator = Translator(messages=["m1"], results=["c1"])
    started = {"type": "tool.started", "tool_call_id": "c1", "name": "touch", "args": {}}
    message = AIMessage("x", id="m1", tool_calls=[CALL])
    parts = [chunk("x"), chunk(last=True), part("updates", {"model": {"messages": [message]}}), part("custom", started)]
    assert kinds(feed(parts, translator)) == []
