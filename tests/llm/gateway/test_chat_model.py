"""The gateway as LangChain's chat model: what goes up, what comes down, and what is told beside it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelRateLimitError,
)
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from pydantic import BaseModel

from codelab.llm.chat import Caller, call_for
from codelab.llm.chat_model import CodeLabChatModel
from codelab.llm.errors import Interrupted, Overloaded, Rejected
from codelab.llm.events import Finish, Reasoning, Text, ToolCall, Used
from codelab.llm.messages import to_dialect
from codelab.llm.usage import Usage
from tests.llm.gateway.doubles import House, Purse, Scripted

CALLS = (
    [Reasoning("hm", signature="seal")],
    [ToolCall(0, id="c1", name="add", arguments='{"a": 1'), ToolCall(1, id="c2", name="add", arguments='{"a"')],
    [ToolCall(0, arguments=', "b": 2}'), ToolCall(1, arguments=": 3}", signature="s")],
    [Finish("tool_calls"), Used(Usage(10, 5, cached_tokens=4, reasoning_tokens=2))],
)


@tool
def add(a: int, b: int) -> int:
    """Add."""
    return a + b


class Choice(BaseModel):
    """Who."""

    agent: str


def model(house: House, **values: Any) -> CodeLabChatModel:
    return CodeLabChatModel(gateway=house.gateway, model_name="dear", **values)


def sent(house: House) -> dict[str, Any]:
    return house.ledger.rows[-1][0].body


async def test_a_whole_and_a_streamed_answer_are_the_same() -> None:
    whole = await model(House(attempts=Scripted(CALLS))).ainvoke("x")
    streamed = None
    async for chunk in model(House(attempts=Scripted(CALLS))).astream("x"):
        streamed = chunk if streamed is None else streamed + chunk
    assert streamed is not None
    assert whole.tool_calls == streamed.tool_calls
    assert [(c["name"], c["args"], c["id"]) for c in whole.tool_calls] == [
        ("add", {"a": 1, "b": 2}, "c1"),
        ("add", {"a": 3}, "c2"),
    ]
    assert whole.usage_metadata == streamed.usage_metadata
    assert whole.usage_metadata["input_token_details"] == {"cache_read": 4, "cache_creation": 0}
    assert whole.additional_kwargs == streamed.additional_kwargs
    assert whole.additional_kwargs["reasoning_content"] == "hm"
    told = {
        "model_name": "dear",
        "model_provider": "p",
        "finish_reason": "tool_calls",
        "cache": "bypass",
        "attempts": 1,
    }
    assert told.items() <= whole.response_metadata.items()
    assert told.items() <= streamed.response_metadata.items()
    assert whole.id
    assert whole.id.startswith("msg_")


async def test_an_answers_reasoning_is_sent_back_with_its_seal() -> None:
    answer = await model(House(attempts=Scripted(CALLS))).ainvoke("x")
    (back,) = to_dialect([answer])
    assert (back["reasoning_content"], back["reasoning_signature"]) == ("hm", "seal")
    assert [call["function"]["arguments"] for call in back["tool_calls"]] == ['{"a": 1, "b": 2}', '{"a": 3}']


async def test_what_is_sent() -> None:
    house = House()
    bound = model(house, settings={"temperature": 0.5}).bind_tools([add], tool_choice="any")
    said = [
        SystemMessage("be brief"),
        HumanMessage([{"type": "text", "text": "what"}, {"type": "image", "base64": "QUJD", "mime_type": "image/png"}]),
        AIMessage("", tool_calls=[{"name": "add", "args": {"a": "ä"}, "id": "c"}]),
        ToolMessage("3", tool_call_id="c"),
    ]
    await bound.ainvoke(said, stop=["END"])
    body = sent(house)
    assert body["messages"] == [
        {"role": "system", "content": "be brief"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "add", "arguments": '{"a": "ä"}'}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "3"},
    ]
    assert (body["temperature"], body["stop"], body["tool_choice"]) == (0.5, ["END"], "required")
    assert body["tools"][0]["function"]["name"] == "add"
    assert "stream" not in body


async def test_strict_is_meant_for_every_tool() -> None:
    house = House()
    await model(house).bind_tools([add, Choice], strict=True).ainvoke("x")
    assert [each["function"].get("strict") for each in sent(house)["tools"]] == [True, True]


async def test_a_shape_is_demanded_and_read() -> None:
    said = ([ToolCall(0, id="c", name="Choice", arguments='{"agent": "coder"}'), Finish("tool_calls")],)
    house = House(attempts=Scripted(said))
    shaped = model(house).with_structured_output(Choice)
    assert await shaped.ainvoke("who?") == Choice(agent="coder")
    assert sent(house)["tool_choice"] == {"type": "function", "function": {"name": "Choice"}}


async def test_the_bill_goes_to_who_the_context_calls_for() -> None:
    house = House()

    async def run() -> None:
        call_for(Caller(user_id="ann", tenant_id="t", thread_id="th", run_id="r"))
        await model(house).ainvoke("x")

    await asyncio.create_task(run())
    await model(house).ainvoke("x")
    callers = [asked.caller for asked, _ in house.ledger.rows]
    assert [(c.user_id, c.tenant_id, c.thread_id, c.run_id) for c in callers] == [
        ("ann", "t", "th", "r"),
        ("local", "default", "", ""),
    ]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (Overloaded("slow down"), ModelRateLimitError),
        (Interrupted("cut"), ModelConnectionError),
        (Rejected("no"), ModelInvalidRequestError),
        (Rejected("long", code="context_length_exceeded"), ContextOverflowError),
    ],
    ids=["limit", "cut", "rejected", "too long"],
)
async def test_errors_are_langchains(ours: Exception, theirs: type[Exception]) -> None:
    with pytest.raises(theirs, match=str(ours)):
        await model(House(attempts=Scripted([ours]))).ainvoke("x")
    with pytest.raises(theirs, match=str(ours)):
        async for _ in model(House(attempts=Scripted([[Text("a")], ours]))).astream("x"):
            pass


async def test_a_spent_budget_says_so() -> None:
    with pytest.raises(ModelRateLimitError, match="no room"):
        await model(House(budgets=Purse(limit=1))).ainvoke("x")


async def test_a_stream_that_is_left_closes_the_upstream() -> None:
    house = House(attempts=Scripted([[Text("a")], asyncio.Event()]))
    stream = model(house).astream("x")
    await anext(stream)
    await stream.aclose()
    assert house.attempts.closed == 1
    assert house.row.error == "cancelled"


def test_a_synchronous_call_says_what_to_do() -> None:
    with pytest.raises(NotImplementedError, match="ainvoke"):
        model(House()).invoke("x")
