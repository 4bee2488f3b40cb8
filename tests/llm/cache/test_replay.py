"""What was said comes back as it was said: text, thoughts, calls, usage, boundaries."""

from __future__ import annotations

import asyncio

import orjson
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.cache.entry import Stored, decode, encode, shaped
from codelab.llm.dialect import decode_chunks, decode_completion
from codelab.llm.dialect_encode import ChunkWriter, encode_completion
from codelab.llm.events import Batch, Extra, Finish, Reasoning, Refusal, Text, ToolCall, Used
from codelab.llm.usage import Usage
from tests.llm.cache.support import MODEL, SAID, USED, ask, batches, cache, found, outcome, store

words = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
choices = st.integers(0, 2)
tokens = st.integers(0, 10**9)
spoken = st.one_of(
    st.builds(Text, words, choices),
    st.builds(Reasoning, words, choices, st.just("") | words),
    st.builds(Refusal, words, choices),
    st.builds(ToolCall, st.integers(0, 3), words, words, words, choices, st.just("") | words),
    st.builds(Extra, st.dictionaries(words, tokens | words | st.none(), max_size=2), st.none() | choices),
)
endings = st.just([Finish("stop", 0), Finish("tool_calls", 1), Finish("stop", 2)])
used = st.builds(Used, st.builds(Usage, tokens, tokens, tokens), st.dictionaries(words, tokens, max_size=2))
answers = st.lists(st.lists(spoken, max_size=4), max_size=6)


@given(answers, endings, used)
def test_what_is_stored_is_what_is_replayed_boundaries_included(said, ends, usage):
    whole = [[Text("it begins")], *said, [*ends, usage]]
    it = cache(max_entry_bytes=10**6)
    request = ask(stream=True, n=3)
    store(it, request, whole)
    assert asyncio.run(found(it, request)).batches == whole


@given(answers, endings, used)
def test_the_same_answer_in_one_piece_where_no_stream_is_wanted(said, ends, usage):
    whole = [[Text("it begins")], *said, [*ends, usage]]
    it = cache(max_entry_bytes=10**6)
    store(it, ask(stream=True, n=3), whole)
    told = asyncio.run(found(it, ask(n=3))).batches
    assert told == [[event for events in whole for event in events]]


@given(words, words)
def test_an_answer_that_came_whole_is_streamed_in_pieces(text, thought):
    whole = [[Reasoning(thought), Reasoning("sealed words stay", signature="s"), Text(text * 9), Finish("stop"), USED]]
    it = cache()
    store(it, ask(), whole)
    told = asyncio.run(found(it, ask(stream=True))).batches
    events = [event for piece in told for event in piece]
    assert all(len(piece) == 1 for piece in told)
    assert "".join(e.text for e in events if isinstance(e, Text)) == text * 9
    assert "".join(e.text for e in events if isinstance(e, Reasoning) and not e.signature) == thought
    assert Reasoning("sealed words stay", signature="s") in events
    assert events[-2:] == [Finish("stop"), USED]


CALLS = [
    [Reasoning("let me think")],
    [Text("I look. ")],
    [ToolCall(0, "c1", "read", '{"pa')],
    [ToolCall(0, arguments='th":1}'), ToolCall(1, "c2", "list", "{}")],
    [Finish("tool_calls"), USED],
]


async def test_json_from_a_stored_stream_and_a_stream_from_stored_json_say_the_same():
    it = cache()
    store(it, ask("streamed", stream=True), CALLS)
    (events,) = (await found(it, ask("streamed"))).batches
    body = encode_completion(events, "m", id="i", created=1)
    message = orjson.loads(body)["choices"][0]["message"]
    assert message["content"] == "I look. "
    assert message["reasoning_content"] == "let me think"
    assert [c["function"]["arguments"] for c in message["tool_calls"]] == ['{"path":1}', "{}"]

    store(it, ask("whole"), [decode_completion(body)])
    pieces = (await found(it, ask("whole", stream=True))).batches
    writer = ChunkWriter("m", with_usage=True, id="i", created=1)
    stream = b"".join(writer.write(piece) for piece in pieces) + writer.end()
    assert encode_completion(decode_chunks(stream), "m", id="i", created=1) == body


async def test_all_choices_come_back():
    it = cache()
    said = [[Text("a0", 0)], [Text("b0", 1)], [Text("a1", 0)], [Finish("stop", 1)], [Finish("stop", 0), USED]]
    store(it, ask(stream=True, n=2), said)
    (events,) = (await found(it, ask(n=2))).batches
    told = orjson.loads(encode_completion(events, "m"))
    assert [c["message"]["content"] for c in told["choices"]] == ["a0a1", "b0"]
    assert told["usage"] == USED.raw
    assert (await found(it, ask(stream=True, n=2))).batches == said


# What users of other gateways suffered from, by the number of the complaint.


async def test_11145_a_stored_stream_is_replayed_as_a_stream_and_not_as_one_object():
    it = cache()
    said = [[Text(f"word{n} ")] for n in range(50)] + [[Finish("stop"), USED]]
    request = ask(stream=True)
    plan = it.plan(request, MODEL)
    seat = it.join(plan, lambda: _stream(said))
    got = [batch async for batch in seat.batches()]
    it.keep(plan, got, outcome())
    assert len((await found(it, request)).batches) == 51


async def test_32068_reasoning_is_not_lost_on_a_streamed_hit():
    it = cache()
    said = [[Reasoning("first ")], [Reasoning("second", signature="seal")], [Text("so")], [Finish("stop")]]
    store(it, ask(stream=True), said)
    assert (await found(it, ask(stream=True))).batches == said
    (events,) = (await found(it, ask())).batches
    assert orjson.loads(encode_completion(events, "m"))["choices"][0]["message"]["reasoning_content"] == "first second"


async def test_24579_a_stream_is_stored_whichever_api_it_came_in():
    """The complaint is about the Responses API; here every API is events before it is stored, so one test is all."""
    it = cache()
    for name, raw in (("events", None), ("bytes", b"passed through")):
        pieces = [[Text("from "), Text(name)], [Finish("stop"), USED]]
        plan = it.plan(ask(name, stream=True), MODEL)
        it.keep(plan, batches(pieces) if raw is None else _raw(pieces), outcome())
        hit = await found(it, ask(name, stream=True))
        assert hit is not None, name
        assert [e for events in hit.batches for e in events] == [e for events in pieces for e in events]


async def test_8570_the_key_is_told_on_a_miss_and_on_a_hit():
    it = cache()
    missed = it.plan(ask(), MODEL)
    assert await it.find(missed) is None
    store(it, ask())
    hit = it.plan(ask(stream=True), MODEL)
    assert await it.find(hit) is not None
    assert missed.name == hit.name == missed.key.hex()
    assert await it.purge(bytes.fromhex(hit.name))


async def test_a_hit_tells_what_it_saved_and_keeps_its_usage():
    it = cache()
    store(it, ask(stream=True), cost=1234)
    hit = await found(it, ask(stream=True))
    assert (hit.outcome, hit.cost, hit.batches[-1][-1]) == ("hit", 1234, USED)
    counters = it.books.of("default")
    assert (counters.hits, counters.misses, counters.saved) == (1, 0, 1234)


async def test_semantic_router_913_a_hit_is_sound_sse():
    it = cache()
    store(it, ask(stream=True), CALLS)
    writer = ChunkWriter("m", with_usage=True)
    hit = await found(it, ask(stream=True))
    sent = b"".join(writer.write(events) for events in hit.batches) + writer.end()
    frames = sent.split(b"\n\n")
    assert frames[-2:] == [b"data: [DONE]", b""]
    chunks = [orjson.loads(frame.removeprefix(b"data: ")) for frame in frames[:-2]]
    assert {c["object"] for c in chunks} == {"chat.completion.chunk"}
    assert len({c["id"] for c in chunks}) == 1
    assert [c["choices"][0]["finish_reason"] for c in chunks if c["choices"] and c["choices"][0]["finish_reason"]] == [
        "tool_calls"
    ]


async def test_semantic_router_1555_a_streamed_answer_is_written():
    it = cache()
    store(it, ask(stream=True))
    assert it.figures().entries == 1


async def _stream(said):
    for batch in batches(said):
        yield batch


def _raw(pieces):
    writer = ChunkWriter("m", with_usage=True)
    frames = [writer.write(events) for events in pieces]
    frames[-1] += writer.end().removesuffix(b"data: [DONE]\n\n")
    return [Batch(raw=frame, decode=decode_chunks) for frame in frames]


def test_what_another_version_wrote_is_no_answer():
    good = encode(Stored(SAID, True, "m", 1, Usage(), 0.0, 1.0, 2.0, ()))
    assert shaped(decode(good), streamed=True) == SAID
    assert [decode(value) for value in (b"", b"\x00", good[:-3], b'{"json": 1}')] == [None] * 4
