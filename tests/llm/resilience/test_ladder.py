"""Who is asked first among equals, and how an answer falls short."""

from collections import Counter
from random import Random

import pytest

from codelab.llm.catalog import Price
from codelab.llm.chat import Caller, Outcome
from codelab.llm.errors import ConnectFailed, Refused, ServerFailed
from codelab.llm.resilience.health import Fading, Health, Percentile
from codelab.llm.resilience.ladder import degradation
from tests.llm.resilience.doubles import END, ROLE, Clock, Takes, chunk, model, request, world

GOOD = [ROLE, chunk("good"), END]
ONE, TWO = model("one", upstream="m", price=10), model("two", upstream="m", provider="q", price=10)
LESS = model("less", provider="r", price=1)
MORE = model("more", provider="r", price=99)


def in_session(name, **more):
    return request(caller=Caller(user_id="u", session=name, **more))


async def test_peers_share_the_load():
    w = world({"one": [GOOD], "two": [GOOD]})
    for _ in range(100):
        await w.ask([ONE, TWO])
    assert min(Counter(w.provided.asked).values()) >= 25


async def test_the_quicker_peer_has_more_of_it():
    w = world({"one": [[Takes(2), *GOOD]], "two": [[Takes(0.2), *GOOD]]})
    for _ in range(60):
        await w.ask([ONE, TWO])
    assert Counter(w.provided.asked)["two"] > 40


async def test_a_peer_that_was_slow_gets_another_chance():
    w = world({"one": [[Takes(3), *GOOD]], "two": [[Takes(0.2), *GOOD]]})
    for _ in range(20):
        await w.ask([ONE, TWO])
    w.provided.then("one", [Takes(0.1), *GOOD])
    w.provided.then("two", [Takes(1), *GOOD])
    w.provided.asked.clear()
    for _ in range(200):
        await w.ask([ONE, TWO])
    assert w.provided.asked[-50:].count("one") > 30


async def test_a_failing_peer_is_passed_over_without_a_word_to_the_client():
    w = world({"one": [[ServerFailed("500")]], "two": [GOOD]})
    for _ in range(30):
        assert (await w.ask([ONE, TWO]))[0] == "good"
    w.provided.asked.clear()
    _, outcome = await w.ask([ONE, TWO])
    assert w.provided.asked == ["two"]
    assert outcome.degraded is None


async def test_a_peer_whose_key_is_refused_is_seldom_asked():
    w = world({"one": [[Refused("no credit")]], "two": [GOOD]})
    for _ in range(100):
        assert (await w.ask([ONE, TWO]))[0] == "good"
    assert w.provided.asked.count("one") < 20
    assert w.line(ONE).breaker.state == "closed"


async def test_peers_come_before_what_stands_in():
    w = world({"one": [[ServerFailed("500")]], "two": [[ServerFailed("500")]], "less": [GOOD]})
    _, outcome = await w.ask([ONE, LESS, TWO])
    assert set(w.provided.asked[:2]) == {"one", "two"}
    assert (outcome.model, outcome.degraded) == ("less", "cheaper")


async def test_a_session_stays_where_its_prompt_is_warm():
    w = world({"one": [GOOD], "two": [GOOD]})
    for session in ("x", "y", "z"):
        for _ in range(20):
            await w.ask([ONE, TWO], in_session(session))
    asked = w.provided.asked
    assert [len(set(asked[start : start + 20])) for start in (0, 20, 40)] == [1, 1, 1]


async def test_a_session_leaves_a_provider_that_is_down():
    w = world({"one": [GOOD], "two": [GOOD]})
    await w.ask([ONE, TWO], in_session("x"))
    (first,) = w.provided.asked
    w.provided.then(first, [ConnectFailed("nobody")])
    for _ in range(10):
        assert (await w.ask([ONE, TWO], in_session("x")))[0] == "good"
    assert len(set(w.provided.asked[-3:]) - {first}) == 1


async def test_sessions_of_two_tenants_are_two():
    w = world({"one": [GOOD], "two": [GOOD]})
    await w.ask([ONE, TWO], in_session("x", tenant_id="t1"))
    await w.ask([ONE, TWO], in_session("x", tenant_id="t2"))
    assert set(w.upstreams._ladder._sessions) == {"t1/x", "t2/x"}


@pytest.mark.parametrize(("cached", "stays"), [(1, True), (100, False)])
async def test_the_discount_on_cached_tokens_is_what_staying_is_worth(cached, stays):
    one = model("one", upstream="m", price=100, cached=cached)
    two = model("two", upstream="m", provider="q", price=100, cached=cached)
    w = world({"one": [[Takes(1), *GOOD]], "two": [[Takes(0.5), *GOOD]]})
    for line in (w.line(one), w.line(two)):
        line.health.ended(failed=False, tokens=10**6, seconds=1)
    for _ in range(20):
        w.line(one).health.began(1.0)
        w.line(two).health.began(0.5)
    w.upstreams._ladder.keep(in_session("x"), w.line(one))
    first = w.upstreams._ladder.order(in_session("x"), [one, two])[0]
    assert (first.model.id == "one") is stays


@pytest.mark.parametrize(
    ("answering", "failed", "said"),
    [
        (ONE, False, None),
        (TWO, False, None),
        (TWO, True, "failover"),
        (LESS, True, "cheaper"),
        (MORE, True, "failover"),
    ],
    ids=lambda value: getattr(value, "id", str(value)),
)
def test_how_an_answer_falls_short(answering, failed, said):
    assert degradation(ONE, answering, failed=failed) == said


async def test_what_the_budget_made_cheaper_stays_so():
    w = world({"one": [GOOD]})
    _, outcome = await w.ask([ONE], outcome=Outcome(degraded="cheaper"))
    assert outcome.degraded == "cheaper"


async def test_a_row_with_new_prices_keeps_its_line():
    w = world({"one": [[ServerFailed("500")]]}, min_calls=1, patience_s=0)
    with pytest.raises(ServerFailed):
        await w.ask([ONE])
    dearer = ONE.__class__(id="one", provider=ONE.provider, upstream="m", price=Price(input=20, output=20))
    assert w.line(dearer).breaker.state == "open"
    assert w.line(dearer).model is dearer


def test_an_average_fades():
    average = Fading(1.0)
    for _ in range(30):
        average.add(9.0, 100.0)
    assert average.read(100.0) > 8.9
    assert average.read(130.0) == pytest.approx(5, abs=0.1)
    assert average.read(1_000.0) == pytest.approx(1, abs=0.01)


def test_a_percentile_is_close_and_slow_to_change():
    seen, random = Percentile(), Random(3)  # noqa: S311 - a sample
    samples = sorted(random.uniform(0.1, 1.0) for _ in range(1_000))
    for sample in random.sample(samples, 1_000):
        seen.add(sample, 0.0)
    seen.add(0.5, 60.0)
    seen.add(0.5, 120.0)
    assert seen.known == pytest.approx(samples[990], rel=0.3)
    before = seen.known
    for _ in range(10_000):
        seen.add(30.0, 150.0)
    assert seen.known == before
    seen.add(30.0, 200.0)
    seen.add(30.0, 260.0)
    assert seen.known > 20


def test_the_score_knows_speed_errors_and_crowds():
    def health(first=0.5, failed=False, flying=0):
        made = Health(clock=Clock())
        for _ in range(10):
            made.began(first)
            made.ended(failed=failed, tokens=100, seconds=2)
        made.in_flight = flying
        return made.score()

    assert health() < health(first=2)
    assert health() < health(failed=True)
    assert health() < health(flying=10)
