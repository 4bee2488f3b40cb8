"""Any LangChain chat model behind the adapters' seam."""

import asyncio

import pytest
from langchain_core import exceptions as raised_by
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from codelab.core.errors import ConfigError
from codelab.llm.catalog import Provider
from codelab.llm.errors import ConnectFailed, Overloaded, Refused, Rejected, ServerFailed, TimedOut
from codelab.llm.events import Finish, Reasoning, Text, ToolCall, Used
from codelab.llm.providers.langchain import LangChainAdapter
from codelab.llm.usage import Usage
from tests.llm.providers.chatty import Chatty
from tests.llm.providers.dialects import answered, asking, model_at, told

MODEL = model_at("", "langchain", "x")
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object", "properties": {}}}}
USAGE = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15,
         "input_token_details": {"cache_read": 4, "cache_creation": 3, "ephemeral_1h_input_tokens": 1},
         "output_token_details": {"reasoning": 2}}  # fmt: skip
both = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


def adapter(**said) -> LangChainAdapter:
    return LangChainAdapter(MODEL.provider, Chatty(**said))


@both
async def test_text_thoughts_calls_and_usage(stream):
    calls = ({"id": "c1", "name": "look", "args": {"at": "x"}}, {"id": "c2", "name": "look", "args": {}})
    events = await answered(
        adapter(said="Hello there", thought="Hm.", calls=calls, usage=USAGE), MODEL, asking(stream=stream)
    )
    made = [event for event in events if isinstance(event, ToolCall)]
    assert told(events)[0].strip() == "Hello there"
    assert "".join(event.text for event in events if isinstance(event, Reasoning)) == "Hm."
    assert [(call.index, call.id) for call in made if call.id] == [(0, "c1"), (1, "c2")]
    assert "".join(call.arguments for call in made if call.index == 0).replace(" ", "") == '{"at":"x"}'
    assert [event for event in events if isinstance(event, Finish)] == [Finish("tool_calls")]
    assert [event.usage for event in events if isinstance(event, Used)] == [
        Usage(10, 5, cached_tokens=4, cache_write_tokens=2, cache_write_1h_tokens=1, reasoning_tokens=2)
    ]


@both
async def test_the_request_reaches_the_model(stream):
    model = Chatty(said="x")
    request = asking(stream=stream, tools=[TOOL], tool_choice="auto", temperature=0, stop=["END"], max_tokens=7)
    await answered(LangChainAdapter(MODEL.provider, model), MODEL, request)
    heard = model.heard[-1]
    assert (heard["tools"], heard["tool_choice"], heard["stop"]) == ([TOOL], "auto", ["END"])
    assert (heard["temperature"], heard["max_tokens"]) == (0, 7)
    assert [message.text for message in heard["messages"]] == ["Hi"]


@both
@pytest.mark.parametrize(
    ("error", "ours"),
    [
        (raised_by.ModelRateLimitError("slow"), Overloaded),
        (raised_by.ModelTimeoutError("late"), TimedOut),
        (raised_by.ModelConnectionError("cut"), ConnectFailed),
        (raised_by.ModelAuthenticationError("key"), Refused),
        (raised_by.ModelInvalidRequestError("bad"), Rejected),
        (raised_by.ContextOverflowError("long"), Rejected),
        (raised_by.ModelAPIError("broken"), ServerFailed),
        (RuntimeError("anything"), ServerFailed),
        (TimeoutError(), TimedOut),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else type(value).__name__,
)
async def test_what_a_model_raises_has_our_name(stream, error, ours):
    with pytest.raises(ours):
        await answered(adapter(error=error), MODEL, asking(stream=stream))


async def test_an_error_with_a_status_is_read_by_it():
    error = RuntimeError("no such model")
    error.status_code = 404
    with pytest.raises(Rejected) as raised:
        await answered(adapter(error=error), MODEL, asking(stream=False))
    assert (raised.value.status, raised.value.message) == (404, "no such model")


async def test_a_model_that_hangs_is_left():
    class Hanging(Chatty):
        async def _astream(self, *_, **__):
            await asyncio.Event().wait()
            yield

    with pytest.raises(TimedOut):
        await answered(LangChainAdapter(MODEL.provider, Hanging()), MODEL, asking(stream=True), timeout_s=0.01)


async def test_a_request_that_does_not_fit():
    with pytest.raises(Rejected):
        await answered(adapter(), MODEL, asking(stream=False, messages=[{"role": "wizard", "content": "x"}]))


async def test_a_model_is_found_by_its_name():
    target = "tests.llm.providers.chatty:Chatty"
    found = LangChainAdapter(Provider(name="p", kind="langchain", base_url=target))
    assert told(await answered(found, MODEL, asking(stream=False)))[1] == "stop"
    for wrong in ("nowhere:at_all", "json:loads_not", "", "json:JSONDecoder"):
        with pytest.raises(ConfigError):
            await answered(
                LangChainAdapter(Provider(name="p", kind="langchain", base_url=wrong)), MODEL, asking(stream=False)
            )


async def test_chat_models_embed_nothing():
    with pytest.raises(Rejected):
        await adapter().embed(MODEL, {"input": "x"}, timeout_s=1)


@both
async def test_content_in_blocks(stream):
    """Integrations of Anthropic's and Google's models give blocks."""
    blocks = [
        {"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Hello"}, " there",
        {"type": "image"},
    ]  # fmt: skip

    class Blocks(Chatty):
        def _generate(self, messages, stop=None, run_manager=None, **kwargs):
            del messages, stop, run_manager, kwargs
            message = AIMessage(content=blocks, response_metadata={"stop_reason": "max_tokens"})
            return ChatResult(generations=[ChatGeneration(message=message)])

        async def _astream(self, *_, **__):
            for block in blocks:
                yield ChatGenerationChunk(message=AIMessageChunk(content=[block]))
            yield ChatGenerationChunk(message=AIMessageChunk("", response_metadata={"stop_reason": "max_tokens"}))

    events = await answered(LangChainAdapter(MODEL.provider, Blocks()), MODEL, asking(stream=stream))
    assert events == [Reasoning("Hm.", signature="s"), Text("Hello"), Text(" there"), Finish("length")]
