"""Every fault × streamed or not × one candidate or two: a clear outcome, the breaker right, nothing left open."""

from itertools import product

import pytest

from codelab.llm.chat import Outcome
from codelab.llm.errors import (
    AllDown,
    ConnectFailed,
    Interrupted,
    Malformed,
    Overloaded,
    Refused,
    Rejected,
    ServerFailed,
    TimedOut,
)
from tests.llm.resilience.doubles import END, ROLE, THOUGHT, body, chunk, model, read, request, text_of, world

A, B = model("a"), model("b", provider="q")
GOOD = {True: [ROLE, chunk("good"), END], False: [body("good")]}
BEGUN = [ROLE, chunk("bad")]

# What happens, and whether it speaks against the model. Before the first word:
BEFORE = {
    "429": (Overloaded("429"), True),
    "429_retry_after": (Overloaded("429", retry_after=40), True),
    "500": (ServerFailed("500"), True),
    "503_retry_after": (ServerFailed("503", retry_after=40), True),
    "timeout": (TimedOut("silence"), True),
    "connect": (ConnectFailed("nobody"), True),
    "malformed": (Malformed("what?"), True),
    "cut": (Interrupted("cut"), True),
    "401": (Refused("bad key"), False),
}
# In the middle of a stream:
AFTER = {
    "timeout": TimedOut("silence"),
    "cut": Interrupted("cut"),
    "malformed": Malformed("what?"),
    "500": ServerFailed("500"),
    "429": Overloaded("429"),
}
STREAMED = [True, False]


def small(answers):
    """Attempts whose breakers open at one failure."""
    return world(answers, min_calls=1, connect_failures=1, patience_s=0)


@pytest.mark.parametrize(("fault", "stream"), list(product(BEFORE, STREAMED)))
async def test_before_the_first_word_with_one_candidate(fault, stream):
    error, counts = BEFORE[fault]
    w, outcome = small({"a": [[error]]}), Outcome()
    with pytest.raises(type(error)):
        await w.ask([A], request(stream=stream), outcome)
    assert outcome.attempts == 1
    assert outcome.tried == [f"p/a: {error.code}"]
    assert w.line(A).breaker.state == ("open" if counts else "closed")
    assert w.leaks == [0, 0, 0]


@pytest.mark.parametrize(("fault", "stream"), list(product(BEFORE, STREAMED)))
async def test_before_the_first_word_with_two_candidates(fault, stream):
    error, counts = BEFORE[fault]
    w = small({"a": [[error]], "b": [GOOD[stream]]})
    text, outcome = await w.ask([A, B], request(stream=stream))
    assert text == "good"
    assert (outcome.model, outcome.attempts, outcome.degraded) == ("b", 2, "failover")
    assert w.line(A).breaker.state == ("open" if counts else "closed")
    assert w.line(B).breaker.state == "closed"
    assert w.leaks == [0, 0, 0]


@pytest.mark.parametrize(("fault", "stream"), list(product(["429_retry_after", "503_retry_after"], STREAMED)))
async def test_retry_after_keeps_the_model_closed_so_long(fault, stream):
    w = small({"a": [[BEFORE[fault][0]]]})
    with pytest.raises(type(BEFORE[fault][0])):
        await w.ask([A], request(stream=stream))
    assert w.line(A).wait_s >= 40
    with pytest.raises(AllDown) as told:
        await w.ask([A], request(stream=stream))
    assert told.value.retry_after >= 40


@pytest.mark.parametrize(("fault", "preamble"), list(product(BEFORE, [[ROLE], [ROLE, THOUGHT]])), ids=str)
async def test_after_the_preamble_it_is_still_early_enough(fault, preamble):
    w = small({"a": [[*preamble, BEFORE[fault][0]]], "b": [GOOD[True]]})
    text, outcome = await w.ask([A, B])
    assert text == "good"
    assert (outcome.model, outcome.degraded) == ("b", "failover")
    assert w.leaks == [0, 0, 0]


@pytest.mark.parametrize("candidates", [[A], [A, B]], ids=["alone", "of two"])
@pytest.mark.parametrize("fault", AFTER)
async def test_after_the_first_word_nobody_takes_over(fault, candidates):
    w, outcome, said = small({"a": [[*BEGUN, AFTER[fault]]], "b": [GOOD[True]]}), Outcome(), []
    with pytest.raises(Interrupted) as told:
        await read(w.upstreams.answer(request(), candidates, outcome), into=said)
    assert text_of(said) == "bad"
    assert told.value.code == "upstream_interrupted"
    assert told.value.__cause__ is AFTER[fault]
    assert (outcome.attempts, outcome.model) == (1, "a")
    assert w.line(A).breaker.state == "open"
    assert w.provided.asked == ["a"]
    assert w.leaks == [0, 0, 0]


@pytest.mark.parametrize("stream", STREAMED)
async def test_a_bad_request_is_the_clients_affair(stream):
    w = small({"a": [[Rejected("too long", code="context_length_exceeded")]], "b": [GOOD[stream]]})
    with pytest.raises(Rejected) as told:
        await w.ask([A, B], request(stream=stream))
    assert told.value.code == "context_length_exceeded"
    assert w.line(A).breaker.state == "closed"
    assert w.provided.asked == ["a"]
    assert w.leaks == [0, 0, 0]


async def test_a_content_filter_in_the_middle_is_told_as_what_it_is():
    w = small({"a": [[*BEGUN, Rejected("filtered", code="content_filter")]], "b": [GOOD[True]]})
    with pytest.raises(Rejected) as told:
        await w.ask([A, B])
    assert told.value.code == "content_filter"
    assert w.line(A).breaker.state == "closed"


@pytest.mark.parametrize(("fault", "stream"), list(product(BEFORE, STREAMED)))
async def test_when_both_fail_the_last_error_is_told(fault, stream):
    w = small({"a": [[ServerFailed("500")]], "b": [[BEFORE[fault][0]]]})
    with pytest.raises(type(BEFORE[fault][0])):
        await w.ask([A, B], request(stream=stream))
    assert w.provided.asked == ["a", "b"]
    assert w.leaks == [0, 0, 0]


@pytest.mark.parametrize("streams", [1, 8])
async def test_no_traffic_no_state(streams):
    """What a run of requests leaves behind does not grow with them."""
    w = small({"a": [GOOD[True]]})
    for _ in range(50 * streams):
        await w.ask([A])
    assert len(w.upstreams.lines._lines) == len(w.upstreams.lines._by_row) == 1
    assert w.leaks == [0, 0, 0]
