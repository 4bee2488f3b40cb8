"""OpenAI's dialect on its way through: the client gets the provider's bytes, and pays for what they tell."""

import asyncio

import pytest

from codelab.llm.catalog import Price
from codelab.llm.chat import Caller, CompletionRequest
from codelab.llm.dialect import decode_chunks
from codelab.llm.errors import Malformed
from codelab.llm.events import Used
from codelab.llm.prices import cost
from codelab.llm.providers.openai import upstream_body
from codelab.llm.usage import Usage
from tests.llm.providers.dialects import OPENAI, answered, asking, connected, model_at, told
from tests.support.upstream import frame, silent, streamed, upstream, whole

PRICE = Price(input=1_000_000_000, output=5_000_000_000, cached=100_000_000)
DETAILED = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
            "prompt_tokens_details": {"cached_tokens": 900}}  # fmt: skip
WITH_USAGE = {"stream_options": {"include_usage": True}}


def chunk(delta: dict, reason: str | None = None, **more) -> bytes:
    return frame({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}], **more})


async def batches(reply, *, url_more=None, **body):
    """Ask, streamed, and give the batches."""
    async with upstream(reply) as up, connected(OPENAI, up.url, **(url_more or {})) as (adapter, model, _):
        return [batch async for batch in adapter.answer(model, asking(stream=True, **body), timeout_s=5)]


async def test_the_bytes_are_the_providers_without_the_mark_of_the_end():
    got = await batches(streamed(*OPENAI.frames), **WITH_USAGE)
    assert b"".join(batch.raw for batch in got) == b"".join(OPENAI.frames[:-1])


async def test_frames_are_whole_however_they_were_cut():
    stream = b"".join(OPENAI.frames)
    got = await batches(
        streamed(*(stream[at : at + 33] for at in range(0, len(stream), 33)), pause=0.001), **WITH_USAGE
    )
    assert len(got) > 1
    assert all(batch.raw.startswith(b"data: {") and batch.raw.endswith(b"}\n\n") for batch in got)
    assert b"".join(batch.raw for batch in got) == b"".join(OPENAI.frames[:-1])


async def test_usage_is_asked_for_always_and_told_to_whoever_asked():
    got = await batches(streamed(*OPENAI.frames))
    assert b"".join(batch.raw for batch in got if batch.raw) == b"".join(OPENAI.frames[:-2])
    assert got[-1].raw is None
    assert [event.usage for event in got[-1].events] == [Usage(5, 2)]


async def test_azures_first_chunk_has_no_choices_either_and_is_kept():
    azure = frame({"id": "", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]})
    got = await batches(streamed(azure, *OPENAI.frames))
    assert b"".join(batch.raw for batch in got if batch.raw).startswith(azure)


async def test_an_answer_that_is_not_streamed_is_handed_on_as_it_is():
    body = b'{ "choices": [ {"index":0,"message":{"role":"assistant","content":"x"},"finish_reason":"stop"} ] }'
    async with upstream(whole(body)) as up, connected(OPENAI, up.url) as (adapter, model, _):
        got = [batch async for batch in adapter.answer(model, asking(stream=False), timeout_s=5)]
    assert [batch.raw for batch in got] == [body]


async def test_26102_a_stream_is_not_buffered():
    """What the provider has said is there before it says more."""
    async with upstream(silent(OPENAI.frames[0])) as up, connected(OPENAI, up.url) as (adapter, model, _):
        stream = adapter.answer(model, asking(stream=True), timeout_s=5)
        assert (await asyncio.wait_for(anext(stream), 1)).raw == OPENAI.frames[0]
        await stream.aclose()


async def test_36168_usage_in_a_chunk_with_choices():
    """Some providers tell the usage with the last choice: its cached part counts there too."""
    stream = (chunk({"content": "x"}), chunk({}, "stop", usage=DETAILED), b"data: [DONE]\n\n")
    got = await batches(streamed(*stream))
    usage = told([event for batch in got for event in batch.events])[2]
    assert usage == Usage(1000, 10, cached_tokens=900)
    assert cost(PRICE, usage) == (100 * 1_000_000_000 + 900 * 100_000_000 + 10 * 5_000_000_000) // 1_000_000


async def test_11789_cached_tokens_cost_the_same_streamed_and_whole():
    answer = {**OPENAI.answer, "usage": DETAILED}
    frames = (*OPENAI.frames[:3], frame({"id": "c", "choices": [], "usage": DETAILED}), b"data: [DONE]\n\n")
    costs = set()
    for stream, reply in ((False, whole(answer)), (True, streamed(*frames))):
        async with upstream(reply) as up, connected(OPENAI, up.url) as (adapter, model, _):
            costs.add(cost(PRICE, told(await answered(adapter, model, asking(stream=stream)))[2]))
    assert costs == {240_000}


async def test_of_several_usages_the_last_that_is_one_counts():
    more = {**DETAILED, "completion_tokens": 11}
    stream = (
        chunk({"content": "x"}, usage=DETAILED),
        chunk({"content": "y"}, usage=None),
        chunk({}, "stop", usage=more),
    )
    got = await batches(streamed(*stream))
    usages = [event.usage for batch in got for event in batch.events if isinstance(event, Used)]
    assert usages[-1].output_tokens == 11


@pytest.mark.parametrize(
    "end", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE]\n", b"event: end\ndata: [DONE]\n\n", b""]
)
async def test_ends_that_are_ends(end):
    got = await batches(streamed(*OPENAI.frames[:3], end))
    assert told([event for batch in got for event in batch.events])[:2] == ("Hello there", "stop")


async def test_words_that_look_like_ends_or_errors_are_words():
    text = 'data: [DONE]\n\n"error": {"usage":{} "choices":[] "finish_reason":"stop"'
    got = await batches(streamed(chunk({"content": text}), chunk({}, "stop"), b"data: [DONE]\n\n"))
    assert told([event for batch in got for event in batch.events])[:2] == (text, "stop")


async def test_comments_keep_a_stream_alive():
    got = await batches(streamed(b": OPENROUTER PROCESSING\n\n", b": ping\n\n", *OPENAI.frames, pause=0.001))
    assert told([event for batch in got for event in batch.events])[:2] == ("Hello there", "stop")


async def test_an_answer_that_is_not_streamed_although_it_was_asked_to():
    with pytest.raises(Malformed):
        await batches(whole(OPENAI.answer))


def body_of(request: dict, caller: Caller, **provider) -> dict:
    return upstream_body(
        model_at("http://x/v1", "openai", "up", **provider), CompletionRequest(body=request, caller=caller)
    )


REQUEST = {"model": "short", "messages": [{"role": "user", "content": "Hi"}], "made_up": {"by": "somebody"}}
KNOWS_KEYS = {"traits": frozenset({"prompt_cache_key"})}


def test_nothing_but_the_model_is_changed():
    caller = Caller(user_id="u", session="s")
    assert body_of(REQUEST, caller) == {**REQUEST, "model": "up"}


def test_a_session_keeps_its_prompt_cache_and_stays_unknown():
    def key(**caller) -> str:
        return body_of(REQUEST, Caller(**{"user_id": "u", "session": "s-1"} | caller), **KNOWS_KEYS)["prompt_cache_key"]

    assert key() == key(user_id="other")
    assert len({key(), key(session="s-2"), key(tenant_id="t2"), key(session="", thread_id="t")}) == 4
    assert "s-1" not in key()
    assert len(key()) <= 64


def test_the_clients_own_key_stands_and_nobody_gets_one_unasked():
    own = {**REQUEST, "prompt_cache_key": "mine"}
    assert body_of(own, Caller(user_id="u", session="s"), **KNOWS_KEYS)["prompt_cache_key"] == "mine"
    assert "prompt_cache_key" not in body_of(REQUEST, Caller(user_id="u"), **KNOWS_KEYS)


def test_openais_models_of_today_know_max_tokens_by_its_new_name_only():
    knows = {"traits": frozenset({"max_completion_tokens"})}
    asked = {**REQUEST, "max_tokens": 7}
    assert body_of(asked, Caller(user_id="u"), **knows) == {**REQUEST, "model": "up", "max_completion_tokens": 7}
    assert body_of(asked, Caller(user_id="u")) == {**asked, "model": "up"}
    both = body_of({**asked, "max_completion_tokens": 9}, Caller(user_id="u"), **knows)
    assert (both["max_completion_tokens"], "max_tokens" in both) == (9, False)


def test_the_request_itself_is_never_changed():
    thought = {
        "role": "assistant",
        "content": "x",
        "reasoning_content": "hm",
        "tool_calls": [{"id": "a", "signature": "s"}],
    }
    request = {
        "model": "short",
        "stream": True,
        "messages": [thought],
        "stream_options": {"include_obfuscation": False},
    }
    before = repr(request)
    made = body_of(request, Caller(user_id="u", session="s"), **KNOWS_KEYS)
    assert repr(request) == before
    assert made["messages"] == [{"role": "assistant", "content": "x", "tool_calls": [{"id": "a"}]}]
    assert made["stream_options"] == {"include_obfuscation": False, "include_usage": True}


async def test_embeddings_are_asked_for_as_floats():
    told_back = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "usage": {}}
    async with upstream(whole(told_back)) as up, connected(OPENAI, up.url) as (adapter, model, _):
        got = await adapter.embed(
            model, {"input": [[1, 2]], "model": "short", "encoding_format": "base64"}, timeout_s=5
        )
    assert got == told_back
    assert (up.asked[0].path, up.asked[0].body["encoding_format"]) == ("/v1/embeddings", "float")


async def test_an_embedding_that_is_none():
    async with upstream(whole({"data": "no"})) as up, connected(OPENAI, up.url) as (adapter, model, _):
        with pytest.raises(Malformed):
            await adapter.embed(model, {"input": "x"}, timeout_s=5)


def test_the_events_of_a_batch_are_those_of_its_frames():
    assert [type(event).__name__ for event in decode_chunks(b"".join(OPENAI.frames))] == [
        "Text",
        "Text",
        "Finish",
        "Used",
    ]


async def test_a_slow_reader_gets_it_all():
    """The provider is made to wait when we are behind, and goes on when we have caught up."""
    frames = [chunk({"content": f"{n:06}" * 2_000}) for n in range(300)]
    size = 0
    async with (
        upstream(streamed(*frames, chunk({}, "stop"), b"data: [DONE]\n\n")) as up,
        connected(OPENAI, up.url) as (adapter, model, http),
    ):
        async for batch in adapter.answer(model, asking(stream=True), timeout_s=5):
            size += len(batch.raw)
            await asyncio.sleep(0.001)
        assert http.open_connections == 0
    assert size == sum(map(len, frames)) + len(chunk({}, "stop"))
