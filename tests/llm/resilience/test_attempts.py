"""One answer from several models: who is asked, how often, how long, and what the client hears."""

import asyncio
import sys

import pytest

from codelab.llm.chat import Outcome
from codelab.llm.dialect import decode_chunks
from codelab.llm.errors import (
    AllDown,
    ConnectFailed,
    Interrupted,
    Malformed,
    NoModel,
    Overloaded,
    Refused,
    Rejected,
    ServerFailed,
    TimedOut,
)
from codelab.llm.events import Batch, Finish, Reasoning, Text, ToolCall
from codelab.server.openai_api.chat import Frames
from tests.llm.resilience.doubles import END, ROLE, THOUGHT, Takes, body, chunk, model, read, request, text_of, world

GOOD = [ROLE, chunk("good"), END]
A, B = model("a"), model("b", provider="q")


async def test_the_first_candidate_answers():
    w = world({"a": [GOOD], "b": [GOOD]})
    text, outcome = await w.ask([A, B])
    assert text == "good"
    assert (outcome.provider, outcome.model, outcome.attempts, outcome.degraded) == ("p", "a", 1, None)
    assert outcome.tried == ["p/a: ok"]
    assert w.provided.asked == ["a"]


async def test_batches_are_handed_on_untouched():
    w = world({"a": [GOOD]})
    said = [batch.raw async for batch in w.upstreams.answer(request(), [A], Outcome())]
    assert said == GOOD


async def test_a_failure_goes_to_the_next():
    w = world({"a": [[ServerFailed("boom")]], "b": [GOOD]})
    text, outcome = await w.ask([A, B])
    assert text == "good"
    assert (outcome.provider, outcome.model, outcome.attempts, outcome.degraded) == ("q", "b", 2, "failover")
    assert outcome.tried == ["p/a: upstream_error", "q/b: ok"]


async def test_without_fallback_nobody_else_is_asked():
    w = world({"a": [[ServerFailed("boom")]], "b": [GOOD]})
    with pytest.raises(ServerFailed):
        await w.ask([A, B], request(fallback=False))
    assert w.provided.asked == ["a"]


async def test_a_bad_request_is_told_at_once():
    w = world({"a": [[Rejected("no such parameter", status=400)]], "b": [GOOD]}, max_retries=2)
    with pytest.raises(Rejected, match="no such parameter"):
        await w.ask([A, B])
    assert w.provided.asked == ["a"]


async def test_a_refused_key_goes_to_the_next_and_is_not_tried_again():
    w = world({"a": [[Refused("bad key")]], "b": [[ServerFailed("boom")]]}, max_retries=2)
    with pytest.raises(ServerFailed):
        await w.ask([A, B])
    assert w.provided.asked == ["a", "b", "b", "b"]


async def test_an_empty_answer_is_none():
    w = world({"a": [[]], "b": [GOOD]})
    text, outcome = await w.ask([A, B])
    assert text == "good"
    assert outcome.tried[0] == "p/a: upstream_malformed"
    with pytest.raises(Malformed):
        await w.ask([A])


async def test_a_provider_without_adapter_is_said_to_be_none():
    w = world({})
    with pytest.raises(NoModel):
        await w.ask([model("x", provider="unheard")])


async def test_repetitions_pause_longer_each_time_and_end():
    w = world({"a": [[ServerFailed("boom")]]}, max_retries=3)
    with pytest.raises(ServerFailed):
        await w.ask([A])
    assert len(w.provided.asked) == 4
    assert all(0 <= pause <= 0.25 * 2**n for n, pause in enumerate(w.clock.slept))


async def test_pauses_are_jittered():
    pauses = set()
    for seed in range(5):
        w = world({"a": [[ServerFailed("boom")], GOOD]}, max_retries=1, seed=seed)
        assert (await w.ask([A]))[0] == "good"
        pauses.add(w.clock.slept[0])
    assert len(pauses) == 5


async def test_retry_after_is_waited_for():
    w = world({"a": [[Overloaded("slow down", retry_after=3)], GOOD]}, max_retries=1)
    text, outcome = await w.ask([A])
    assert text == "good"
    assert outcome.attempts == 2
    assert 3 <= w.clock.slept[0] <= 3.6


async def test_nobody_waits_beyond_patience():
    w = world({"a": [[Overloaded("slow down", retry_after=30)], GOOD]}, max_retries=1, patience_s=10)
    with pytest.raises(Overloaded) as told:
        await w.ask([A])
    assert told.value.retry_after == 30
    assert w.clock.slept == []


async def test_nobody_waits_beyond_the_deadline():
    w = world({"a": [[Overloaded("slow down", retry_after=3)], GOOD]}, max_retries=1)
    with pytest.raises(Overloaded):
        await w.ask([A], request(deadline_s=2))
    assert w.clock.slept == []


async def test_retries_are_a_tenth_of_the_traffic():
    w = world({"a": [[ServerFailed("boom")]]}, max_retries=2, retry_per_s=0, retry_ratio=0.1, min_calls=10**6)
    for _ in range(200):
        with pytest.raises(ServerFailed):
            await w.ask([A])
    assert 200 < len(w.provided.asked) <= 200 * 1.1 + 1


async def test_a_few_retries_a_second_are_free():
    w = world({"a": [[ServerFailed("boom")]]}, max_retries=1, retry_per_s=1, retry_ratio=0, min_calls=10**6)
    for _ in range(30):
        with pytest.raises(ServerFailed):
            await w.ask([A])
    assert 40 <= len(w.provided.asked) <= 45  # ten at once, and one for each second that was slept


async def test_the_clients_deadline_ends_the_wait_and_blames_nobody():
    never = asyncio.Event()
    w = world({"a": [[never]]}, min_calls=1)
    with pytest.raises(TimedOut):
        await w.ask([A], request(deadline_s=0.01))
    assert w.line(A).breaker.state == "closed"
    assert w.leaks == [0, 0, 0]


async def test_our_own_deadline_blames_the_model():
    never = asyncio.Event()
    w = world({"a": [[never]]}, min_calls=1, deadline_s=0.01)
    w.upstreams._pace = w.upstreams._pace.__class__(
        settings=w.upstreams._pace.settings, timeout_s=0.005, max_retries=0, clock=w.clock, sleep=w.clock.sleep
    )
    with pytest.raises(TimedOut):
        await w.ask([A])
    assert w.line(A).breaker.state == "open"


async def test_all_down_says_when_to_come_back():
    w = world({"a": [[ConnectFailed("nobody")]], "b": [[ConnectFailed("nobody")]]}, patience_s=0)
    for _ in range(5):
        with pytest.raises(ConnectFailed):
            await w.ask([A, B])
    asked = len(w.provided.asked)
    with pytest.raises(AllDown) as told:
        await w.ask([A, B])
    assert len(w.provided.asked) == asked
    soonest = min(w.line(A).wait_s, w.line(B).wait_s)
    assert told.value.retry_after == pytest.approx(soonest)
    assert 2.5 <= soonest <= 5


async def test_a_short_closure_is_waited_out():
    w = world({"a": [[ConnectFailed("nobody")]]}, patience_s=6)
    for _ in range(5):
        with pytest.raises(ConnectFailed):
            await w.ask([A])
    w.provided.then("a", GOOD)
    text, outcome = await w.ask([A])
    assert text == "good"
    assert (outcome.attempts, outcome.degraded) == (1, None)


async def test_a_cut_after_the_first_words_is_told_as_one():
    w = world({"a": [[chunk("once upon"), ServerFailed("gone")]], "b": [GOOD]}, max_retries=2)
    said = []
    with pytest.raises(Interrupted) as told:
        await read(w.upstreams.answer(request(), [A, B], Outcome()), into=said)
    assert text_of(said) == "once upon"
    assert told.value.retryable
    assert w.provided.asked == ["a"]


@pytest.mark.parametrize(
    ("first", "commits"),
    [
        ([Text("x")], True),
        ([ToolCall(0, "id", "read_file")], True),
        ([Reasoning("hm")], False),
        ([Finish("stop")], False),
        (chunk("x"), True),
        (b'data: {"choices":[{"delta":{"content": "x"}}]}\n\n', True),
        (b'data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c"}]}}]}\n\n', True),
        (b'data: {"choices":[{"delta":{"refusal":"no"}}]}\n\n', True),
        (b'data: {"choices":[{"delta":{"content":[{"type":"text","text":"x"}]}}]}\n\n', True),
        (b'data: {"choices":[{"delta":{"content":[{"type":"thinking","thinking":[{"text":"x"}]}]}}]}\n\n', False),
        (b'data: {"choices":[{"delta":{"content":"","reasoning":"the \\"content\\":\\"x\\" is"}}]}\n\n', False),
        (b'data: {"choices":[{"delta":{"content":null,"tool_calls":[]}}]}\n\n', False),
        (ROLE, False),
        (THOUGHT, False),
    ],
    ids=str,
)
async def test_what_commits(first, commits):
    w = world({"a": [[first, ServerFailed("gone")]], "b": [GOOD]})
    if commits:
        with pytest.raises(Interrupted):
            await w.ask([A, B])
        assert w.provided.asked == ["a"]
    else:
        text, _ = await w.ask([A, B])
        assert text == "good"
        assert w.provided.asked == ["a", "b"]


async def test_the_role_is_told_once():
    w = world({"a": [[ROLE, THOUGHT, ServerFailed("gone")]], "b": [GOOD]})
    said = [batch.raw async for batch in w.upstreams.answer(request(), [A, B], Outcome())]
    assert b"".join(said).count(b'"role"') == 1
    assert said[2] == b'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n'


@pytest.mark.parametrize("second", [GOOD, [[Text("good")], [Finish("stop")]]], ids=["bytes", "events"])
@pytest.mark.parametrize("first", [[ROLE], [ROLE, THOUGHT], [[Reasoning("hm")]]], ids=["role", "thought", "events"])
async def test_the_endpoints_client_hears_of_one_role_whoever_took_over(first, second):
    w, outcome, asked = world({"a": [[*first, ServerFailed("gone")]], "b": [second]}), Outcome(), request()
    frames = Frames(asked, outcome)
    sent = b"".join([frames.write(batch) async for batch in w.upstreams.answer(asked, [A, B], outcome)])
    assert sent.count(b'"role"') == 1
    assert text_of([Batch(decode_chunks(sent))]) == "good"


async def test_an_error_within_the_stream_is_found_before_it_commits():
    error = b'data: {"error":{"message":"overloaded"}}\n\n'
    w = world({"a": [[error]], "b": [GOOD]})
    text, outcome = await w.ask([A, B])
    assert text == "good"
    assert outcome.degraded == "failover"


async def test_what_is_not_streamed_is_committed_whole():
    w = world({"a": [[body("whole"), ServerFailed("late")]], "b": [[body("other")]]})
    with pytest.raises(Interrupted):
        await w.ask([A, B], request(stream=False))
    assert w.provided.asked == ["a"]


async def test_closing_closes_the_adapter_at_once_and_blames_nobody():
    w = world({"a": [[chunk("x"), asyncio.Event()]]}, min_calls=1)
    answer = w.upstreams.answer(request(), [A], Outcome())
    await anext(answer)
    assert w.leaks == [1, 1, 1]
    await answer.aclose()
    assert w.leaks == [0, 0, 0]
    assert w.line(A).breaker.state == "closed"
    assert w.line(A).health.error_ratio == 0


async def test_a_cancelled_task_leaves_nothing_behind():
    w = world({"a": [[asyncio.Event()]]})
    task = asyncio.create_task(w.ask([A]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert w.leaks == [1, 1, 1]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert w.leaks == [0, 0, 0]


async def test_a_cancelled_probe_lets_the_next_request_try():
    w = world({"a": [[ConnectFailed("nobody")]]}, patience_s=0)
    for _ in range(5):
        with pytest.raises(ConnectFailed):
            await w.ask([A])
    w.clock.now += 10
    w.provided.then("a", [asyncio.Event()])
    probe = asyncio.create_task(w.ask([A]))
    await asyncio.sleep(0)
    with pytest.raises(AllDown):  # one probe at a time
        await w.ask([A])
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    w.provided.then("a", GOOD)
    assert (await w.ask([A]))[0] == "good"


async def test_a_slow_model_is_left_alone():
    slow = [Takes(2), *GOOD]
    w = world({"a": [slow], "b": [GOOD]}, slow_first_token_s=1)
    for _ in range(10):
        await w.ask([A, B])
    text, outcome = await w.ask([A, B])
    assert text == "good"
    assert outcome.model == "b"


async def test_three_times_the_usual_is_slow():
    w = world({"a": [[Takes(0.5), *GOOD]], "b": [GOOD]})
    for _ in range(60):
        await w.ask([A, B])
    w.clock.now += 40  # the good calls leave the window
    w.provided.then("a", [Takes(2.5), *GOOD])
    for _ in range(10):
        await w.ask([A, B])
    assert (await w.ask([A, B]))[1].model == "b"


async def test_the_whole_answer_in_one_piece_is_not_judged_by_its_first_token():
    w = world({"a": [[Takes(60), body("long")]]}, slow_first_token_s=8)
    for _ in range(20):
        await w.ask([A], request(stream=False))
    assert w.line(A).breaker.state == "closed"


async def test_a_healthy_model_costs_few_steps():
    """What lies between the gateway and the adapter is in the way of every request: Python calls are counted."""
    w = world({"a": [[chunk("x"), END]]})
    await w.ask([A])  # the line is opened
    asked, outcome, made = request(), Outcome(), 0

    def count(frame, event, _):
        nonlocal made
        made += event == "call" and "resilience" in frame.f_code.co_filename

    sys.setprofile(count)
    try:
        async for _ in w.upstreams.answer(asked, [A], outcome):
            pass
    finally:
        sys.setprofile(None)
    assert made <= 75


async def test_embedding_goes_the_same_way():
    w = world({"a": [[ServerFailed("boom")]]}, max_retries=1)
    w.provided.vectors = [ServerFailed("boom"), {"data": []}]
    outcome = Outcome()
    assert await w.upstreams.embed(request(stream=False), A, outcome) == {"data": []}
    assert (outcome.attempts, outcome.tried) == (2, ["p/a: upstream_error", "p/a: ok"])
    assert w.leaks == [0, 0, 0]


async def test_an_embedder_that_is_down_is_left_alone():
    w = world({"a": []}, patience_s=0)
    w.provided.vectors = [ConnectFailed("nobody")] * 5
    for _ in range(5):
        with pytest.raises(ConnectFailed):
            await w.upstreams.embed(request(stream=False), A, Outcome())
    with pytest.raises(AllDown):
        await w.upstreams.embed(request(stream=False), A, Outcome())
