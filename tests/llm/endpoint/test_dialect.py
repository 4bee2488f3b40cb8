"""Events written as chunks or as a completion are read again as they were, up to how they were cut."""

from __future__ import annotations

import json
from contextlib import suppress

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.core.errors import BadRequest
from codelab.llm.dialect import decode_chunks, decode_completion, read_usage, without_usage
from codelab.llm.dialect_encode import DONE, ChunkWriter, encode_completion
from codelab.llm.dialect_request import read_chat, read_embedding
from codelab.llm.errors import Malformed, ServerFailed
from codelab.llm.events import Event, Extra, Finish, Reasoning, Refusal, Text, ToolCall, Used
from codelab.llm.usage import Usage
from tests.llm.endpoint.merging import by_choice, merged

WORDS = [
    "choices",
    "delta",
    "message",
    "index",
    "finish_reason",
    "content",
    "refusal",
    "role",
    "tool_calls",
    "function",
    "arguments",
    "id",
    "name",
    "signature",
    "extra_content",
    "google",
    "thought_signature",
    "reasoning",
    "reasoning_content",
    "reasoning_signature",
    "reasoning_details",
    "text",
    "type",
    "custom",
    "usage",
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "cached_tokens",
    "error",
    "logprobs",
    "model",
    "messages",
    "tools",
    "input",
    "encoding_format",
    "dimensions",
    "n",
    "stream",
    "stream_options",
    "max_tokens",
    "temperature",
    "tool_choice",
    "stop",
    "system_fingerprint",
]
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
CHOICES = st.integers(0, 2)
LOGPROBS = st.lists(st.fixed_dictionaries({"token": TEXTS, "logprob": st.floats(-9, 0)}), min_size=1, max_size=2)
COUNTS = st.integers(0, 10**9)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS, st.booleans())
SAID = st.one_of(
    st.builds(Text, TEXTS, CHOICES),
    st.builds(Reasoning, TEXTS, CHOICES, st.sampled_from(["", "", "seal"])),
    st.builds(Reasoning, st.just(""), CHOICES, st.just("seal")),
    st.builds(Refusal, TEXTS, CHOICES),
    st.builds(
        ToolCall, st.integers(0, 2), st.just("id"), st.just("name"), TEXTS, CHOICES, st.sampled_from(["", "sig"])
    ),
    st.builds(ToolCall, st.integers(0, 2), arguments=TEXTS, choice=CHOICES),
    st.builds(Extra, st.fixed_dictionaries({"logprobs": st.fixed_dictionaries({"content": LOGPROBS})}), CHOICES),
    st.builds(Extra, st.fixed_dictionaries({"system_fingerprint": TEXTS})),
    st.builds(
        Extra, st.fixed_dictionaries({"delta": st.fixed_dictionaries({"annotations": st.lists(TEXTS)})}), CHOICES
    ),
)
ANSWERS = st.tuples(
    st.lists(SAID, max_size=12), st.lists(st.builds(Finish, st.just("stop"), CHOICES), max_size=1), USAGES
)


def whole(answer) -> list[Event]:
    said, finish, usage = answer
    return [*said, *finish, Used(usage)]


def streamed(events, *, with_usage: bool = True) -> bytes:
    writer = ChunkWriter("m", with_usage=with_usage)
    return b"".join([writer.write([event]) for event in events]) + writer.end()


@given(ANSWERS)
def test_a_stream_is_read_as_it_was_written(answer) -> None:
    events = whole(answer)
    assert merged(decode_chunks(streamed(events))) == merged(events)


@given(ANSWERS)
def test_a_completion_is_read_as_it_was_written(answer) -> None:
    events = whole(answer)
    assert by_choice(decode_completion(encode_completion(events, "m"))) == by_choice(events)


@given(ANSWERS)
def test_a_stream_and_a_completion_say_the_same(answer) -> None:
    events = whole(answer)
    again = decode_chunks(streamed(events))
    assert by_choice(decode_completion(encode_completion(again, "m"))) == by_choice(events)


@given(ANSWERS)
def test_usage_is_left_out_of_a_stream_that_did_not_ask(answer) -> None:
    events = whole(answer)
    asked = streamed(events)
    assert decode_chunks(streamed(events, with_usage=False)) == decode_chunks(without_usage(asked))
    assert not [event for event in decode_chunks(without_usage(asked)) if isinstance(event, Used)]


def test_the_last_chunk_with_usage_has_no_choices() -> None:
    frames = streamed([Text("a"), Finish("stop"), Used(Usage(3, 4, cached_tokens=2, reasoning_tokens=1))])
    *_, last, done, rest = frames.split(b"\n\n")
    chunk = orjson.loads(last.removeprefix(b"data: "))
    assert (done + b"\n\n", rest, chunk["choices"]) == (DONE, b"", [])
    assert chunk["usage"]["prompt_tokens_details"]["cached_tokens"] == 2
    assert chunk["usage"]["completion_tokens_details"]["reasoning_tokens"] == 1
    assert chunk["usage"]["total_tokens"] == 7


def test_a_providers_own_usage_is_told_as_it_is() -> None:
    raw = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3, "audio_tokens": 9}
    body = orjson.loads(encode_completion([Text("a"), Used(Usage(1, 2), raw)], "m"))
    assert body["usage"] == raw


def test_36168_usage_in_a_chunk_with_choices_is_read_and_can_be_left_out() -> None:
    frame = (
        b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}],'
        b'"usage": {"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":8}}}\r\n\r\n'
    )
    text, finish, used = decode_chunks(frame)
    assert (text, finish) == (Text("a"), Finish("stop"))
    assert isinstance(used, Used)
    assert used.usage == Usage(9, 1, cached_tokens=8)
    assert decode_chunks(without_usage(frame)) == [text, finish]


def test_a_text_that_speaks_of_usage_is_left_alone() -> None:
    frame = streamed([Text('the field "usage":{} of it')], with_usage=False)
    assert without_usage(frame) is frame


def test_sparse_and_parallel_calls_keep_their_order() -> None:
    events = [
        ToolCall(3, "b", "g", ""),
        ToolCall(1, "a", "f", ""),
        ToolCall(3, arguments="{}"),
        ToolCall(1, arguments="[]"),
    ]
    calls = orjson.loads(encode_completion(events, "m"))["choices"][0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["arguments"]) for call in calls] == [("a", "[]"), ("b", "{}")]


@pytest.mark.parametrize(
    ("delta", "event"),
    [
        ({"reasoning": "hm"}, Reasoning("hm")),
        ({"reasoning_details": [{"type": "reasoning.text", "text": "hm", "signature": "s"}]}, Reasoning("hm", 0, "s")),
        ({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}, Reasoning("hm")),
        ({"content": [{"type": "text", "text": "a"}]}, Text("a")),
        ({"content": ""}, None),
        (
            {
                "tool_calls": [
                    {"id": "c", "function": {"name": "f"}, "extra_content": {"google": {"thought_signature": "t"}}}
                ]
            },
            ToolCall(0, "c", "f", "", 0, "t"),
        ),
        ({"tool_calls": [{"index": 0, "function": None}]}, ToolCall(0)),
    ],
    ids=["openrouter", "details", "mistral", "parts", "empty", "gemini", "null-function"],
)
def test_what_providers_call_things(delta, event) -> None:
    frame = b"data: " + orjson.dumps({"choices": [{"index": 0, "delta": delta}]}) + b"\n\n"
    assert decode_chunks(frame) == ([event] if event else [])


def test_comments_and_other_fields_of_a_stream_are_passed_over() -> None:
    frames = b': ping\n\nevent: x\nid: 1\ndata: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\ndata:\n\n'
    assert decode_chunks(frames) == [Text("a")]


@pytest.mark.parametrize(
    "frame", [b"{", b"[]", b"7", b'{"choices":[7]}', b'{"choices":{}, "usage":7}', b'{"choices":[{"delta":"x"}]}']
)
def test_what_is_no_chunk_is_malformed(frame: bytes) -> None:
    with pytest.raises(Malformed):
        decode_chunks(b"data: " + frame + b"\n\n")


@pytest.mark.parametrize("error", [{"message": "x" * 900}, "broken", {}, {"message": None, "code": 1}])
def test_an_error_in_a_stream_is_no_event(error) -> None:
    frame = b"data: " + orjson.dumps({"error": error or {"code": 500}}) + b"\n\n"
    with pytest.raises(ServerFailed) as caught:
        decode_chunks(frame)
    assert 0 < len(caught.value.message) <= 500


def test_deepseeks_usage_is_understood_and_nulls_are_zero() -> None:
    assert read_usage({"prompt_tokens": 5, "prompt_cache_hit_tokens": 4, "completion_tokens": None}) == Usage(
        5, 0, cached_tokens=4
    )


def test_half_a_character_does_not_end_an_answer() -> None:
    assert decode_chunks(streamed([Text("a\ud83d")])) == [Text("a\ufffd")]
    assert decode_completion(encode_completion([ToolCall(0, "c", "f", "\ud83d")], "m")) == [
        ToolCall(0, "c", "f", "\ufffd")
    ]


def test_every_answer_has_an_id_and_a_time_of_its_own() -> None:
    one, other = (orjson.loads(encode_completion([Text("a")], "m")) for _ in range(2))
    assert one["id"] != other["id"]
    assert one["id"].startswith("chatcmpl-")
    assert one["created"] > 1_700_000_000


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False), TEXTS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(WORDS) | TEXTS, inner, max_size=5)
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_a_provider_sends_is_read_or_malformed(data) -> None:
    for shaped in (data, {"choices": [data]}, {"choices": [{"delta": data}]}, {"choices": [], "usage": data}):
        try:
            events = decode_completion(json.dumps(shaped).encode())
        except (Malformed, ServerFailed):
            continue
        again = msgspec.convert(msgspec.to_builtins(events), list[Event])
        assert again == events
        encode_completion(events, "m")
        streamed(events)


@given(JSON)
def test_whatever_a_client_sends_is_a_request_or_refused(data) -> None:
    message = {"role": "user", "content": "a"}
    shapes = [data, {"model": "m", "messages": data}, {"model": "m", "messages": [data]}, {"model": data}]
    if isinstance(data, dict):
        shapes += [{"model": "m", "messages": [message], **data}, {"model": "m", "messages": [{**message, **data}]}]
    for shaped in shapes:
        for read in (read_chat, read_embedding):
            with suppress(BadRequest):
                assert read(json.dumps(shaped).encode())["model"]


def test_what_every_chunk_repeats_is_told_once() -> None:
    seen = Extra({"system_fingerprint": "fp"})
    frames = streamed([seen, Text("a"), seen, Text("b")])
    assert frames.count(b"system_fingerprint") == 1
