"""A graph's run as events of the thread protocol: order, namespaces, what a client must be able to rely on."""

import asyncio
import operator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Annotated, Any, TypedDict

import pytest
from langchain.agents import create_agent
from langchain_core.language_models.fake_chat_models import FakeMessagesListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.stream.transformers import CheckpointsTransformer, CustomTransformer, UpdatesTransformer
from langgraph.types import Command, Send, interrupt

from codelab.core.types import RunStatus
from codelab.runtime.protocol.feed import ProtocolFeed, closing_of
from codelab.runtime.protocol.words import lean
from codelab.store.records import LoggedEvent


class State(TypedDict, total=False):
    mode: str
    items: Annotated[list[str], operator.add]


stopped = asyncio.Event()


async def work(state: State) -> State:
    get_stream_writer()({"name": "step", "x": 1})
    if state["mode"] == "error":
        raise ValueError("boom")
    if state["mode"] == "slow":
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
            stopped.set()
    return {"items": ["work"]}


def ask(state: State) -> State:
    return {"items": [interrupt({"q": state["mode"]})]}


def route(state: State) -> Any:
    if state["mode"] == "two":
        return [Send("ask", {"mode": "a"}), Send("ask", {"mode": "b"})]
    return {"sub": "sub", "ask": "ask"}.get(state["mode"], END)


def sub_ask(_state: State) -> State:
    return {"items": [interrupt({"q": "inside"})]}


def build(*transformers: Any) -> Any:
    inner = StateGraph(State)
    inner.add_node("sub_ask", sub_ask)
    inner.add_edge(START, "sub_ask")
    outer = StateGraph(State)
    outer.add_node("work", work)
    outer.add_node("sub", inner.compile())
    outer.add_node("ask", ask)
    outer.add_edge(START, "work")
    outer.add_conditional_edges("work", route, ["sub", "ask", END])
    return outer.compile(checkpointer=InMemorySaver(), transformers=list(transformers))


CONFIG: Any = {"configurable": {"thread_id": "t"}}


async def drive(graph: Any, graph_input: Any, status: str | None = None) -> tuple[ProtocolFeed, list[Any]]:
    feed = ProtocolFeed(graph, graph_input, CONFIG, graph_name="g", durability="sync")
    events = [event async for batch in feed.stream() for event in batch]
    status = status or (RunStatus.INTERRUPTED if feed.interrupts else RunStatus.SUCCESS)
    return feed, [*events, *feed.closing(status)]


async def until(holds: Any) -> None:
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - what it waits for has no event
            await asyncio.sleep(0.01)


async def read(feed: ProtocolFeed, events: list[Any]) -> None:
    async with aclosing(feed.stream()) as batches:
        async for batch in batches:
            events.extend(batch)


def said(events: list[Any]) -> list[tuple[str, tuple[str, ...], Any]]:
    assert {event.type for event in events} <= {"protocol"}
    return [
        (event.data["method"], tuple(n.partition(":")[0] for n in p["namespace"]), p["data"])
        for event in events
        for p in [event.data["params"]]
    ]


def phases(events: list[Any]) -> list[tuple[tuple[str, ...], str]]:
    return [(ns, data["event"]) for method, ns, data in said(events) if method == "lifecycle"]


async def test_a_run_begins_with_running_and_ends_with_completed():
    feed, events = await drive(build(CustomTransformer, UpdatesTransformer), {"mode": "x"})
    assert said(events) == [
        ("lifecycle", (), {"event": "running", "graph_name": "g"}),
        ("values", (), {"mode": "x", "items": []}),
        ("custom", (), {"name": "step", "x": 1}),
        ("updates", (), {"work": {"items": ["work"]}}),
        ("values", (), {"mode": "x", "items": ["work"]}),
        ("lifecycle", (), {"event": "completed", "graph_name": "g"}),
    ]
    assert feed.values == {"mode": "x", "items": ["work"]}
    assert all(isinstance(event.data["params"]["timestamp"], int) for event in events)


async def test_without_transformers_there_are_no_custom_events_and_no_updates():
    _, events = await drive(build(), {"mode": "x"})
    assert {method for method, _, _ in said(events)} == {"lifecycle", "values"}


async def test_checkpoints_are_told_as_references_where_the_graph_has_them():
    _, events = await drive(build(CheckpointsTransformer), {"mode": "x"})
    told = [data for method, _, data in said(events) if method == "checkpoints"]
    assert [each["step"] for each in told] == [-1, 0, 1]
    assert told[0]["source"] == "input"
    assert [each.get("parent_id") for each in told] == [None, told[0]["id"], told[1]["id"]]
    assert all(set(each) <= {"id", "parent_id", "step", "source"} for each in told)


async def test_a_question_is_asked_after_the_stream_and_named_by_who_asks():
    feed, events = await drive(build(UpdatesTransformer), {"mode": "sub"})
    tail = said(events)[-2:]
    asked = feed.interrupts[0]
    assert tail == [
        ("input.requested", ("sub",), {"interrupt_id": asked.id, "payload": {"q": "inside"}}),
        ("lifecycle", (), {"event": "interrupted", "graph_name": "g"}),
    ]
    assert [m for m, _, _ in said(events)[:-2]].count("input.requested") == 0
    assert "__interrupt__" not in str(said(events))
    started, ended = [data for method, ns, data in said(events) if method == "lifecycle" and ns]
    assert started.keys() == {"event", "namespace", "graph_name", "trigger_call_id"}
    assert ended == {"event": "interrupted", "graph_name": "sub"}


async def test_a_resumed_run_does_not_ask_again():
    graph = build()
    asked = (await drive(graph, {"mode": "sub"}))[0].interrupts[0]
    feed, events = await drive(graph, Command(resume={asked.id: "yes"}))
    assert feed.interrupts == []
    assert phases(events) == [((), "running"), (("sub",), "started"), (("sub",), "completed"), ((), "completed")]
    assert feed.values["items"] == ["work", "work", "yes"]


async def test_of_two_questions_the_unanswered_one_is_asked_again():
    graph = build()
    first = (await drive(graph, {"mode": "two"}))[0].interrupts
    assert len(first) == 2
    feed, events = await drive(graph, Command(resume={first[0].id: "one"}))
    assert [each.id for each in feed.interrupts] == [first[1].id]
    assert [data["interrupt_id"] for method, _, data in said(events) if method == "input.requested"] == [first[1].id]
    feed, events = await drive(graph, Command(resume={first[1].id: "two"}))
    assert feed.values["items"] == ["work", "one", "two"]
    assert phases(events)[-1] == ((), "completed")


async def test_what_the_graph_raises_comes_out_after_what_it_said():
    feed = ProtocolFeed(build(CustomTransformer), {"mode": "error"}, CONFIG, graph_name="g")
    events: list[Any] = []
    with pytest.raises(ValueError, match="boom"):
        await read(feed, events)
    events += feed.closing(RunStatus.ERROR, {"error": "ValueError", "message": "boom"})
    assert [method for method, _, _ in said(events)] == ["lifecycle", "values", "custom", "lifecycle"]
    assert said(events)[-1][2] == {"event": "failed", "graph_name": "g", "error": "boom"}


async def test_cancelling_the_reader_waits_for_the_graph_to_stop():
    stopped.clear()
    feed = ProtocolFeed(build(), {"mode": "slow"}, CONFIG, graph_name="g")
    events: list[Any] = []
    reading = asyncio.create_task(read(feed, events))
    await until(lambda: any(event.data["method"] == "values" for event in events))
    await asyncio.sleep(0.05)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert stopped.is_set()
    assert said(feed.closing(RunStatus.INTERRUPTED)) == [
        ("lifecycle", (), {"event": "interrupted", "graph_name": "g"}),
    ]


class Talker(GenericFakeChatModel):
    def bind_tools(self, *_args: Any, **_more: Any) -> Any:
        return self


def talks(*texts: str) -> Talker:
    return Talker(messages=iter([AIMessage(text) for text in texts]))


def chat(model: Any) -> Any:
    async def speak(_state: State) -> dict[str, Any]:
        await model.ainvoke("hello")
        return {"items": ["said"]}

    graph = StateGraph(State)
    graph.add_node("speak", speak)
    graph.add_edge(START, "speak")
    return graph.compile(checkpointer=InMemorySaver())


async def test_a_streamed_message_is_a_message_of_content_blocks():
    _, events = await drive(chat(talks("so it is")), {"mode": "x"})
    parts = [data for method, _, data in said(events) if method == "messages"]
    assert [part["event"] for part in parts] == [
        "message-start",
        "content-block-start",
        *["content-block-delta"] * 5,
        "content-block-finish",
        "message-finish",
    ]
    assert parts[0]["role"] == "ai"
    assert parts[0]["id"]
    assert "".join(part["delta"]["text"] for part in parts if part["event"] == "content-block-delta") == "so it is"
    assert all("id" not in part for part in parts[1:])


async def test_two_that_speak_at_once_can_be_told_apart():
    async def speak(_state: State) -> dict[str, Any]:
        await asyncio.gather(talks("a b c d").ainvoke("x"), talks("e f g h").ainvoke("y"))
        return {}

    graph = StateGraph(State)
    graph.add_node("speak", speak)
    graph.add_edge(START, "speak")
    _, events = await drive(graph.compile(checkpointer=InMemorySaver()), {"mode": "x"})
    texts: dict[str, str] = {}
    open_ids: list[str] = []
    for data in [data for method, _, data in said(events) if method == "messages"]:
        if data["event"] == "message-start":
            open_ids.append(data["id"])
        whose = data.get("id") or open_ids[0]
        assert "id" in data or len(open_ids) == 1
        if data["event"] == "content-block-delta":
            texts[whose] = texts.get(whose, "") + data["delta"]["text"]
        if data["event"] == "message-finish":
            open_ids.remove(whose)
    assert sorted(texts.values()) == ["a b c d", "e f g h"]


class Stuck(GenericFakeChatModel):
    async def _astream(self, *args: Any, **more: Any) -> Any:
        async for chunk in super()._astream(*args, **more):
            yield chunk
            await asyncio.sleep(60)


async def test_a_message_that_is_cut_off_is_closed():
    feed = ProtocolFeed(chat(Stuck(messages=iter([AIMessage("one two")]))), {"mode": "x"}, CONFIG, graph_name="g")
    events: list[Any] = []
    reading = asyncio.create_task(read(feed, events))
    await until(lambda: any(data.get("event") == "content-block-delta" for _, _, data in said(events)))
    reading.cancel()
    await asyncio.wait({reading})
    message_id = next(data["id"] for method, _, data in said(events) if method == "messages")
    closing = feed.closing(RunStatus.INTERRUPTED)
    assert said(closing)[0][2].items() >= {"event": "error", "id": message_id}.items()
    logged = [LoggedEvent("t", n, "r", 1, e.type, e.data, datetime.now(UTC)) for n, e in enumerate(events, 1)]
    assert [data["id"] for _, _, data in said(closing_of(logged))] == [message_id]
    whole = [*logged, LoggedEvent("t", 99, "r", 1, closing[0].type, closing[0].data, datetime.now(UTC))]
    assert closing_of(whole) == []


@tool
def search(query: str) -> str:
    """Search."""
    if query == "bad":
        raise ValueError("no index")
    return f"found {query}"


class Caller(FakeMessagesListChatModel):
    def bind_tools(self, *_args: Any, **_more: Any) -> Any:
        return self


def agent(query: str) -> Any:
    call = {"id": "c1", "name": "search", "args": {"query": query}}
    model = Caller(responses=[AIMessage("", id="a1", tool_calls=[call]), AIMessage("done", id="a2")])
    return create_agent(model, [search], name="seeker", checkpointer=InMemorySaver())


async def test_a_tool_is_told_by_its_start_its_end_and_its_result_as_a_message():
    _, events = await drive(agent("v3"), {"messages": [HumanMessage("go", id="h")]})
    tools = [data for method, _, data in said(events) if method == "tools"]
    assert tools[0] == {"event": "tool-started", "tool_call_id": "c1", "tool_name": "search", "input": {"query": "v3"}}
    assert tools[1]["output"]["content"] == "found v3"
    told = [(e.data["params"]["namespace"], e.data["params"]["data"]) for e in events if e.data["method"] == "messages"]
    assert {tuple(ns) for ns, _ in told} == {("tools:c1",)}
    assert told[0][1]["event"] == "message-start"
    assert told[0][1]["role"] == "tool"


async def test_a_tool_that_fails_says_so():
    feed = ProtocolFeed(agent("bad"), {"messages": [HumanMessage("go", id="h")]}, CONFIG, graph_name="g")
    events: list[Any] = []
    with pytest.raises(ValueError, match="no index"):
        await read(feed, events)
    tools = [data for method, _, data in said(events) if method == "tools"]
    assert tools[-1].items() >= {"event": "tool-error", "tool_call_id": "c1"}.items()
    assert "no index" in tools[-1]["message"]


def test_messages_in_state_hold_only_what_they_have():
    ai = AIMessage("hi", id="1", tool_calls=[{"id": "c", "name": "t", "args": {}}])
    state = {"messages": [HumanMessage("x", id="0"), ai, ToolMessage("r", tool_call_id="c", id="2")], "one": ai}
    told = lean(state)
    assert told["messages"] == [
        {"type": "human", "content": "x", "id": "0"},
        {
            "type": "ai",
            "content": "hi",
            "id": "1",
            "tool_calls": [{"type": "tool_call", "name": "t", "args": {}, "id": "c"}],
        },
        {"type": "tool", "content": "r", "id": "2", "tool_call_id": "c", "status": "success", "artifact": None},
    ]
    assert told["one"]["additional_kwargs"] == {}
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    assert lean([AIMessage("x", usage_metadata=usage)])[0]["usage_metadata"] == usage
