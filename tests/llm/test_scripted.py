"""The scripted model: matching, ids, streaming, tools in every form, faults."""

import json
from typing import Literal

import pytest
from langchain_core.exceptions import ModelAPIError, ModelConnectionError, ModelRateLimitError, ModelTimeoutError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel
from typing_extensions import TypedDict

from codelab.core.errors import ConfigError
from codelab.llm.answer import Fault
from codelab.llm.scripted import Reply, Script, ScriptedCall, ScriptedChatModel, UnscriptedRequest
from codelab.llm.usage import total_usage

READ = ScriptedCall(name="read_file", args={"path": "calc.py", "note": "привет, a longer argument to be cut"})


@tool
def read_file(path: str) -> str:
    """Read a file."""
    return path


class Route(BaseModel):
    """Where to go."""

    agent: Literal["coder", "debug"]
    reason: str = ""


class RouteDict(TypedDict):
    """Where to go."""

    agent: str


async def collect(model, seen):
    async for chunk in model.astream("x"):
        seen += [chunk]


def script(*replies: dict, **rest) -> ScriptedChatModel:
    return ScriptedChatModel(script=Script.model_validate({"replies": replies, **rest}))


async def streamed(model, messages):
    chunks = [chunk async for chunk in model.astream(messages)]
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return chunks, whole


async def test_streaming_equals_non_streaming():
    model = ScriptedChatModel.of(Reply(text="I read the file first.", tool_calls=(READ, READ)))
    bound = model.bind_tools([read_file])
    chunks, whole = await streamed(bound, "go")
    answer = await bound.ainvoke("go")
    assert (whole.content, whole.tool_calls, whole.id) == (answer.content, answer.tool_calls, answer.id)
    assert whole.usage_metadata == answer.usage_metadata == bound.invoke("go").usage_metadata
    assert whole.response_metadata == answer.response_metadata
    assert chunks[-1].chunk_position == "last"
    assert chunks[-1].usage_metadata["output_tokens"] > 10
    assert sum(bool(chunk.tool_call_chunks) for chunk in chunks) > 4
    assert len({call["id"] for call in answer.tool_calls}) == 2


async def test_ids_are_a_function_of_the_conversation():
    first = ScriptedChatModel.of("a", Reply(tool_calls=(READ,)), name="x")
    again = ScriptedChatModel.of("a", Reply(tool_calls=(READ,)), name="x")
    other = ScriptedChatModel.of("a", Reply(tool_calls=(READ,)), name="y")
    said = [HumanMessage("hi", id="1"), AIMessage("a", id="2"), HumanMessage("go", id="3")]
    one, two, three = [await model.ainvoke(said) for model in (first, again, other)]
    assert (one.id, one.tool_calls) == (two.id, two.tool_calls)
    assert one.id != three.id
    renamed = [*said[:-1], HumanMessage("go", id="4")]
    assert (await first.ainvoke(renamed)).id != one.id


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"last": "RETURN a"}, True),
        ({"last": "/return\\s+a - b/"}, True),
        ({"last": "nothing"}, False),
        ({"human": "fix"}, True),
        ({"human": "return"}, False),
        ({"result": "/a - b$/", "called": "read_file"}, True),
        ({"called": "write_file"}, False),
        ({"agent": "you are the debug"}, True),
        ({"agent": "coder"}, False),
        ({"turn": 2, "step": 1}, True),
        ({"turn": 1}, False),
        ({"step": 2}, False),
        ({"tools": ["read_file"]}, True),
        ({"tools": ["read_file", "edit_file"]}, False),
        ({"without": ["edit_file"]}, True),
        ({"without": ["read_file"]}, False),
        ({"model": "scripted"}, True),
        ({"model": "other"}, False),
        ({"structured": False}, True),
        ({"structured": True}, False),
        ({"structured": "Route"}, False),
    ],
)
async def test_conditions(when, holds):
    model = script({"when": when, "text": "yes"}, {"text": "no"}).bind_tools([read_file])
    call = {"name": "read_file", "args": {"path": "c.py"}, "id": "1"}
    conversation = [
        SystemMessage("You are the debug agent"),
        HumanMessage("hi"),
        AIMessage("hello"),
        HumanMessage("fix it"),
        AIMessage("", tool_calls=[call]),
        ToolMessage("1 | return a - b", tool_call_id="1"),
    ]
    assert (await model.ainvoke(conversation)).text == ("yes" if holds else "no")


async def test_replies_in_order_skip_structured_and_faults():
    fault = Reply(fault=Fault(kind="server_error"), once=True)
    model = ScriptedChatModel.of(fault, "one", Reply(structured={"agent": "debug"}), "two")
    with pytest.raises(ModelAPIError):
        await model.ainvoke("hi")
    assert (await model.with_structured_output(Route).ainvoke("hi")).agent == "debug"
    assert (await model.ainvoke("hi")).text == "one"
    assert (await model.ainvoke([("human", "hi"), ("ai", "one"), ("human", "more")])).text == "two"


@pytest.mark.parametrize("form", [Route, RouteDict, Route.model_json_schema()])
async def test_structured_output(form):
    model = script({"structured": {"agent": "debug", "reason": "r"}}, {"text": "plain"})
    found = await model.with_structured_output(form).ainvoke("hi")
    assert (found if isinstance(found, dict) else found.model_dump()) == {"agent": "debug", "reason": "r"}
    assert (await model.ainvoke("hi")).text == "plain"


def lookup(path: str) -> str:
    """Look up a path."""
    return path


@pytest.mark.parametrize(
    ("form", "name"),
    [
        (read_file, "read_file"),
        (lookup, "lookup"),
        (Route, "Route"),
        (RouteDict, "RouteDict"),
        ({"type": "function", "function": {"name": "raw", "parameters": {"type": "object", "properties": {}}}}, "raw"),
        ({"title": "titled", "description": "x", "type": "object", "properties": {}}, "titled"),
    ],
)
async def test_bind_tools_takes_every_form(form, name):
    model = ScriptedChatModel.of("ok")
    await model.bind_tools([form]).ainvoke("hi")
    assert [tool.name for tool in model.requests[-1].tools] == [name]


async def test_unmatched_says_what_was_asked():
    model = script({"when": {"last": "xyz"}, "text": "-"}, name="mine")
    answer = await model.bind_tools([read_file]).ainvoke([("system", "You are coder"), ("human", "please")])
    assert all(word in answer.text for word in ("'mine'", "'please'", "read_file", "turn 0", "You are coder"))
    assert len(model.unmatched) == 1
    with pytest.raises(UnscriptedRequest, match="Route is demanded"):
        await model.with_structured_output(Route).ainvoke("hi")


async def test_once_survives_a_redelivery_but_a_fault_does_not_repeat():
    model = script({"text": "first", "once": True}, {"text": "then"})
    answers = [(await model.ainvoke(text)).text for text in ("a", "a", "b", "a")]
    assert answers == ["first", "first", "then", "first"]
    faulty = script({"fault": {"kind": "rate_limit", "retry_after": 2}, "once": True}, {"text": "then"})
    with pytest.raises(ModelRateLimitError, match="retry after 2 s"):
        await faulty.ainvoke("a")
    assert (await faulty.ainvoke("a")).text == "then"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "rate_limit"}, ModelRateLimitError),
        ({"kind": "server_error", "status": 502}, ModelAPIError),
        ({"kind": "timeout"}, ModelTimeoutError),
        ({"kind": "timeout", "after": 2}, ModelTimeoutError),
        ({"kind": "cut", "after": 2}, ModelConnectionError),
        ({"kind": "malformed_json", "after": 2}, json.JSONDecodeError),
    ],
)
async def test_faults(fault, error):
    model = script({"text": "one two three four", "fault": fault})
    with pytest.raises(error):
        await model.ainvoke("x")
    with pytest.raises(error):
        model.invoke("x")
    seen = []
    with pytest.raises(error):
        await collect(model, seen)
    assert len(seen) == fault.get("after", 0)


async def test_malformed_arguments_reach_the_caller_as_invalid():
    model = script({"tool_calls": [{"name": "read_file", "args": "not JSON"}]})
    answer = await model.ainvoke("x")
    _, whole = await streamed(model, "x")
    assert answer.invalid_tool_calls[0]["args"] == "not JSON"
    assert whole.invalid_tool_calls[0]["args"] == "not JSON"


async def test_hook_and_usage():
    seen = []
    model = ScriptedChatModel(script=Script.of("one", "two"), on_request=seen.append)
    first = await model.ainvoke("x")
    assert seen[0].human == "x"
    assert total_usage([HumanMessage("x"), first, first]).output_tokens == 2 * first.usage_metadata["output_tokens"]


def test_load(tmp_path):
    file = tmp_path / "fix.yaml"
    file.write_text("- when: {agent: coder, turn: 0}\n  text: hi\n  delay_s: 0.1\n")
    loaded = Script.load(file)
    assert (loaded.name, loaded.replies[0].when.turn) == ("fix", 0)
    file.write_text("replies: [{txt: hi}]")
    with pytest.raises(ConfigError, match="txt"):
        Script.load(file)
    with pytest.raises(ConfigError, match="absent"):
        Script.load(tmp_path / "absent.yaml")
