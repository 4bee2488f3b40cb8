"""The same transcript costs the same, streamed and whole: every provider, every way it tells the usage."""

import asyncio

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from codelab.llm.catalog import Price
from codelab.llm.dialect import decode_chunks, decode_completion
from codelab.llm.events import Used
from codelab.llm.prices import cost
from codelab.llm.providers.anthropic_events import Message, read_usage
from codelab.llm.providers.gemini_events import Content
from codelab.llm.providers.langchain import LangChainAdapter
from codelab.llm.usage import Usage
from tests.llm.providers.chatty import Chatty
from tests.llm.providers.dialects import answered, asking, model_at
from tests.support.upstream import frame

TOKENS = st.integers(0, 3_000_000)
NANO = st.integers(0, 100_000_000_000)
MAYBE = st.none() | NANO
PRICES = st.builds(Price, input=NANO, output=NANO, cached=MAYBE, cache_write=MAYBE, cache_write_1h=MAYBE)


def last(events: list) -> Usage:
    return [event.usage for event in events if isinstance(event, Used)][-1]


@st.composite
def openai_usages(draw):
    prompt, said = draw(TOKENS), draw(TOKENS)
    usage = {"prompt_tokens": prompt, "completion_tokens": said, "total_tokens": prompt + said}
    shape = draw(st.sampled_from(["plain", "details", "deepseek", "null"]))
    cached = draw(st.integers(0, prompt))
    if shape == "details":
        usage["prompt_tokens_details"] = {"cached_tokens": cached, "audio_tokens": 0}
        usage["completion_tokens_details"] = {"reasoning_tokens": draw(st.integers(0, said))}
    elif shape == "deepseek":
        usage |= {"prompt_cache_hit_tokens": cached, "prompt_cache_miss_tokens": prompt - cached}
    elif shape == "null":
        usage |= {"prompt_tokens_details": None, "completion_tokens_details": None}
    return usage


@given(PRICES, openai_usages(), st.sampled_from(["alone", "with the choice", "every chunk", "null until the end"]))
def test_openai(price, usage, where):
    choice = {"index": 0, "message": {"role": "assistant", "content": "ab"}, "finish_reason": "stop"}
    whole = decode_completion(orjson.dumps({"choices": [choice], "usage": usage}))
    early = {"usage": {**usage, "completion_tokens": 0}} if where == "every chunk" else {}
    early = {"usage": None} if where == "null until the end" else early
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **early} for text in "ab"]
    if where in {"alone", "null until the end"}:
        chunks += [{"choices": [end], **early}, {"choices": [], "usage": usage}]
    else:
        chunks += [{"choices": [end], "usage": usage}]
    streamed = decode_chunks(b"".join(map(frame, chunks)) + b"data: [DONE]\n\n")
    assert cost(price, last(streamed)) == cost(price, last(whole))
    assert last(streamed) == last(whole)


@st.composite
def anthropic_usages(draw):
    short, hour = draw(TOKENS), draw(TOKENS)
    usage = {"input_tokens": draw(TOKENS), "output_tokens": draw(TOKENS)}
    if draw(st.booleans()):
        usage |= {"cache_read_input_tokens": draw(TOKENS), "cache_creation_input_tokens": short + hour}
        if draw(st.booleans()):
            usage["cache_creation"] = {"ephemeral_5m_input_tokens": short, "ephemeral_1h_input_tokens": hour}
    if draw(st.booleans()):
        usage["output_tokens_details"] = {"thinking_tokens": draw(st.integers(0, usage["output_tokens"]))}
    return usage


@given(PRICES, anthropic_usages(), st.booleans())
def test_anthropic(price, usage, sums):
    """The start tells the prompt and the end the sums so far; the breakdown by time comes at the start only."""
    message = {
        "type": "message",
        "content": [{"type": "text", "text": "ab"}],
        "stop_reason": "end_turn",
        "usage": usage,
    }
    whole = Message(json_tool=False).whole(orjson.dumps(message))
    end = {key: usage[key] for key in ("output_tokens", "output_tokens_details") if key in usage}
    if sums:
        end = {key: value for key, value in usage.items() if key != "cache_creation"}
    stream = [
        {"type": "message_start", "message": {"usage": {**usage, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ab"}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": end},
        {"type": "message_stop"},
    ]
    reader, streamed = Message(json_tool=False), []
    for one in stream:
        reader.read(orjson.dumps(one), streamed)
    assert cost(price, last(streamed)) == cost(price, last(whole))
    assert last(streamed) == last(whole)


def test_42663_a_breakdown_of_the_first_round_only():
    """Where Anthropic's own tools go several rounds, the sum counts; what the breakdown leaves open is of its kind."""
    raw = {"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 900}
    short = read_usage({**raw, "cache_creation": {"ephemeral_5m_input_tokens": 300, "ephemeral_1h_input_tokens": 0}})
    hour = read_usage({**raw, "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 300}})
    assert (short.cache_write_tokens, short.cache_write_1h_tokens, short.input_tokens) == (900, 0, 901)
    assert (hour.cache_write_tokens, hour.cache_write_1h_tokens, hour.input_tokens) == (0, 900, 901)


def test_31724_an_hours_cache_writes_have_their_own_price():
    price = Price(input=3_000_000, cache_write=3_750_000, cache_write_1h=6_000_000)
    raw = {"input_tokens": 0, "output_tokens": 0, "cache_creation_input_tokens": 3,
           "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2}}  # fmt: skip
    assert cost(price, read_usage(raw)) == round(3.75 + 12)


@st.composite
def gemini_usages(draw):
    prompt = draw(TOKENS)
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": draw(TOKENS)}
    if draw(st.booleans()):
        usage["cachedContentTokenCount"] = draw(st.integers(0, prompt))
    if draw(st.booleans()):
        usage["thoughtsTokenCount"] = draw(TOKENS)
    if draw(st.booleans()):
        usage["toolUsePromptTokenCount"] = draw(TOKENS)
    return usage


@given(PRICES, gemini_usages(), st.booleans())
def test_gemini(price, usage, early):
    def said(text: str, **more) -> dict:
        return {"candidates": [{"content": {"parts": [{"text": text}]}, **more}]}

    whole, streamed = [], []
    Content().read(orjson.dumps({**said("ab", finishReason="STOP"), "usageMetadata": usage}), whole)
    first = {"usageMetadata": {**usage, "candidatesTokenCount": 0}} if early else {}
    reader = Content()
    reader.read(orjson.dumps({**said("a"), **first}), streamed)
    reader.read(orjson.dumps({**said("b", finishReason="STOP"), "usageMetadata": usage}), streamed)
    assert cost(price, last(streamed)) == cost(price, last(whole))
    assert last(streamed) == last(whole)


@settings(max_examples=30)
@given(PRICES, st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))
def test_langchain(price, prompt, cached, said):
    usage = {"input_tokens": prompt + cached, "output_tokens": said, "total_tokens": prompt + cached + said,
             "input_token_details": {"cache_read": cached}}  # fmt: skip
    model = model_at("", "langchain", "x")
    adapter = LangChainAdapter(model.provider, Chatty(said="a b c", usage=usage))
    usages = {last(asyncio.run(answered(adapter, model, asking(stream=stream)))) for stream in (True, False)}
    assert usages == {Usage(prompt + cached, said, cached_tokens=cached)}
    assert len({cost(price, usage) for usage in usages}) == 1
