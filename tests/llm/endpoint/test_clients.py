"""The official SDK and LangChain's models are content with what they get, over a real socket."""

from __future__ import annotations

import openai
import pytest
from langchain_core.messages import HumanMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

from codelab.core.errors import RateLimited
from codelab.llm.errors import AllDown, BudgetExceeded, Interrupted, NotCached, Overloaded, Rejected, TimedOut
from codelab.llm.events import Extra, Reasoning, Refusal, Text, ToolCall
from codelab.llm.usage import Usage
from tests.llm.endpoint.doubles import Endpoint, failing, saying

HI = [{"role": "user", "content": "hi"}]
CALLS = (
    ToolCall(0, "c0", "read", '{"path":'),
    ToolCall(0, arguments=' "a"}'),
    ToolCall(1, "c1", "read", '{"path": "b"}'),
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
USED = Usage(12, 7, cached_tokens=8, reasoning_tokens=3)


class Verdict(BaseModel):
    """A shape to be filled."""

    good: bool
    why: str


def read(path: str) -> str:
    """Read a file."""
    return path


async def test_a_whole_answer(served: Endpoint) -> None:
    logprobs = {"content": [{"token": "hello", "logprob": -0.5, "bytes": None, "top_logprobs": []}], "refusal": None}
    served.gateway.answer_with = saying(
        Reasoning("hm"), Text("hel"), Text("lo"), Extra({"logprobs": logprobs}, 0), Text("other", 1), usage=USED
    )
    async with served.sdk() as sdk:
        answer = await sdk.chat.completions.create(model="small", messages=HI, n=2, logprobs=True)
    one, other = answer.choices
    assert (one.message.content, one.finish_reason, one.message.reasoning_content) == ("hello", "stop", "hm")
    assert (other.index, other.message.content) == (1, "other")
    assert one.logprobs.content[0].logprob == -0.5
    assert answer.usage.prompt_tokens_details.cached_tokens == 8
    assert answer.usage.completion_tokens_details.reasoning_tokens == 3
    assert answer._request_id == served.gateway.asked[0].id


async def test_a_streamed_answer_with_its_usage(served: Endpoint) -> None:
    served.gateway.answer_with = saying(Text("hel"), Text("lo"), usage=USED)
    async with served.sdk() as sdk:
        asked = {"include_usage": True}
        stream = await sdk.chat.completions.create(model="small", messages=HI, stream=True, stream_options=asked)
        chunks = [chunk async for chunk in stream]
    assert [c.choices[0].delta.content for c in chunks if c.choices][:2] == ["hel", "lo"]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert (chunks[-1].choices, chunks[-1].usage.total_tokens) == ([], 19)
    assert len({chunk.id for chunk in chunks}) == 1


async def test_a_stream_that_did_not_ask_tells_no_usage(served: Endpoint) -> None:
    async with served.sdk() as sdk:
        stream = await sdk.chat.completions.create(model="small", messages=HI, stream=True)
        chunks = [chunk async for chunk in stream]
    assert all(chunk.choices and chunk.usage is None for chunk in chunks)


async def test_parallel_tool_calls_streamed_and_not(served: Endpoint) -> None:
    served.gateway.answer_with = saying(*CALLS)
    tool = {"type": "function", "function": {"name": "read", "parameters": {"type": "object", "properties": {}}}}
    async with served.sdk() as sdk:
        answer = await sdk.chat.completions.create(model="small", messages=HI, tools=[tool])
        async with sdk.chat.completions.stream(model="small", messages=HI, tools=[tool]) as stream:
            streamed = (await stream.get_final_completion()).choices[0].message
    whole = answer.choices[0].message
    assert [(c.id, c.function.name, c.function.arguments) for c in whole.tool_calls] == [
        ("c0", "read", '{"path": "a"}'),
        ("c1", "read", '{"path": "b"}'),
    ]
    assert [c.function.arguments for c in streamed.tool_calls] == [c.function.arguments for c in whole.tool_calls]


async def test_structured_output_is_parsed_and_a_refusal_is_one(served: Endpoint) -> None:
    served.gateway.answer_with = saying(Text('{"good": true, "why": "it is"}'))
    async with served.sdk() as sdk:
        answer = await sdk.chat.completions.parse(model="small", messages=HI, response_format=Verdict)
        served.gateway.answer_with = saying(Refusal("no"))
        refused = await sdk.chat.completions.parse(model="small", messages=HI, response_format=Verdict)
    assert answer.choices[0].message.parsed == Verdict(good=True, why="it is")
    assert served.gateway.asked[0].body["response_format"]["type"] == "json_schema"
    assert (refused.choices[0].message.refusal, refused.choices[0].message.parsed) == ("no", None)


async def test_models(served: Endpoint) -> None:
    async with served.sdk() as sdk:
        assert [model.id async for model in sdk.models.list()] == ["small", "vendor/big"]
        assert (await sdk.models.retrieve("vendor/big")).owned_by == "home"
        with pytest.raises(openai.NotFoundError) as caught:
            await sdk.models.retrieve("codelab/coder")
    assert caught.value.code == "model_not_found"


async def test_embeddings_by_default_come_as_base64(served: Endpoint) -> None:
    async with served.sdk() as sdk:
        answer = await sdk.embeddings.create(model="small", input=["a", "b"], dimensions=3)
        plain = await sdk.embeddings.create(model="small", input="a", encoding_format="float")
    assert [one.embedding for one in answer.data] == [[0.5, -1.25, 3.0]] * 2
    assert plain.data[0].embedding == [0.5, -1.25, 3.0]
    body, _caller, _controls = served.gateway.embedded[0]
    assert (body["dimensions"], body["encoding_format"]) == (3, "float")


async def test_langchains_embeddings_send_tokens(served: Endpoint) -> None:
    model = OpenAIEmbeddings(
        model="small", base_url=served.url, api_key=served.key.key, check_embedding_ctx_length=False
    )
    assert await model.aembed_documents(["a", "b"]) == [[0.5, -1.25, 3.0]] * 2
    answer = await served.post({"model": "small", "input": [[1, 2], [3]]}, "/v1/embeddings")
    tokens = await served.post({"model": "small", "input": [1, 2]}, "/v1/embeddings")
    assert [len(one.json()["data"]) for one in (answer, tokens)] == [2, 1]


async def test_chat_openai_streams_calls_tools_and_fills_shapes(served: Endpoint) -> None:
    model = ChatOpenAI(model="small", base_url=served.url, api_key=served.key.key, max_retries=0)
    served.gateway.answer_with = saying(Text("hel"), Text("lo"), usage=USED)
    chunks = [chunk async for chunk in model.astream("hi")]
    assert "".join(chunk.text for chunk in chunks) == "hello"
    served.gateway.answer_with = saying(*CALLS, usage=USED)
    called = await model.bind_tools([read]).ainvoke([HumanMessage("hi")])
    assert [call["args"] for call in called.tool_calls] == [{"path": "a"}, {"path": "b"}]
    assert called.usage_metadata["input_token_details"]["cache_read"] == 8
    assert called.usage_metadata["output_token_details"]["reasoning"] == 3
    served.gateway.answer_with = saying(Text('{"good": false, "why": "x"}'))
    assert await model.with_structured_output(Verdict).ainvoke("hi") == Verdict(good=False, why="x")


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        (
            Rejected("Too long.", status=400, code="context_length_exceeded"),
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (Rejected("No.", status=422), openai.UnprocessableEntityError, "invalid_request"),
        (Overloaded("Later.", retry_after=7.2), openai.RateLimitError, "rate_limited"),
        (RateLimited("Slower."), openai.RateLimitError, "rate_limited"),
        (TimedOut("Nothing came."), openai.InternalServerError, "upstream_timeout"),
        (AllDown("All are down.", retry_after=30), openai.InternalServerError, "unavailable"),
        (BudgetExceeded("No money."), openai.APIStatusError, "budget_exceeded"),
        (NotCached("None."), openai.InternalServerError, "not_cached"),
        (RuntimeError("secret"), openai.InternalServerError, "internal"),
    ],
    ids=lambda one: getattr(one, "__name__", None) or type(one).__name__ if not isinstance(one, str) else one,
)
async def test_errors_become_the_sdks_exceptions(served: Endpoint, error, kind, code) -> None:
    served.gateway.answer_with = failing(error)
    async with served.sdk() as sdk:
        with pytest.raises(kind) as caught:
            await sdk.chat.completions.create(model="small", messages=HI)
    assert caught.value.code == code
    assert caught.value.request_id == served.gateway.asked[0].id
    assert "secret" not in str(caught.value)
    told = caught.value.response.headers.get("retry-after")
    assert told == {"rate_limited": "8" if isinstance(error, Overloaded) else "1", "unavailable": "30"}.get(code)


@pytest.mark.parametrize(("error", "times"), [(Overloaded("Later.", retry_after=0.01), 3), (NotCached("None."), 1)])
async def test_the_sdk_tries_again_what_is_worth_it(served: Endpoint, error, times: int) -> None:
    served.gateway.answer_with = failing(error)
    waits: list[float] = []

    class Sdk(openai.AsyncOpenAI):
        async def _sleep_for_retry(self, **told) -> None:
            headers = told["response"].headers if told.get("response") is not None else None
            waits.append(
                self._calculate_retry_timeout(told["max_retries"] - told["retries_taken"], told["options"], headers)
            )

    async with Sdk(base_url=served.url, api_key=served.key.key, max_retries=2) as sdk:
        with pytest.raises(openai.APIStatusError):
            await sdk.chat.completions.create(model="small", messages=HI)
    assert len(served.gateway.asked) == times
    assert waits == [1.0] * (times - 1)


async def test_41777_a_cut_in_the_middle_is_retryable_and_no_invalid_request(served: Endpoint) -> None:
    served.gateway.answer_with = failing(Interrupted("The answer broke off."), Text("hel"))
    async with served.sdk() as sdk:
        stream = aiter(await sdk.chat.completions.create(model="small", messages=HI, stream=True))
        assert (await anext(stream)).choices[0].delta.content == "hel"
        with pytest.raises(openai.APIError) as caught:
            await anext(stream)
    assert (caught.value.code, caught.value.type) == ("upstream_interrupted", "api_error")
    assert caught.value.body["retryable"] is True
