"""How long an answer lives, who asks for it anew, and what makes it forgotten."""

from __future__ import annotations

import pytest

from codelab.core.errors import InvalidInput, NotFound
from codelab.llm.cache.admin import CacheAdmin
from codelab.llm.cache.stores import Generations
from codelab.llm.cache.tags import scoped
from codelab.llm.chat import Caller, Controls
from tests.llm.cache.support import MODEL, OTHER, SAID, Clock, ask, batches, cache, found, outcome, store


async def test_an_answer_is_fresh_then_old_then_gone():
    clock = Clock()
    it = cache(clock, ttl_s=100, renew_after=0.8, stale_s=1000)
    store(it, ask())
    clock.now += 79
    assert (hit := await found(it, ask())).outcome == "hit"
    assert not hit.renew
    clock.now += 2
    assert (hit := await found(it, ask())).outcome == "stale"
    assert hit.renew
    clock.now += 20
    assert await found(it, ask()) is None


async def test_an_old_answer_is_asked_for_anew_by_one_client_only():
    clock = Clock()
    it = cache(clock, ttl_s=1000, renew_after=0.1)
    store(it, ask())
    clock.now += 200
    told = [await found(it, ask()) for _ in range(3)]
    assert [hit.renew for hit in told] == [True, False, False]
    clock.now += 61  # whoever asked has not come back
    assert (await found(it, ask())).renew
    store(it, ask())
    assert (await found(it, ask())).outcome == "hit"
    clock.now += 101
    store(it, ask())
    clock.now += 101
    assert (await found(it, ask())).renew


async def test_an_old_answer_is_asked_for_anew_as_soon_as_the_new_one_is_old():
    clock = Clock()
    it = cache(clock, ttl_s=10, renew_after=0.1)
    for _ in range(3):
        store(it, ask())
        clock.now += 2
        assert (await found(it, ask())).renew


async def test_who_wants_no_model_asked_does_not_have_one_asked_behind_their_back():
    clock = Clock()
    it = cache(clock, ttl_s=1000, renew_after=0.1)
    store(it, ask())
    clock.now += 200
    assert not (await found(it, ask(controls=Controls(cache="only")))).renew
    assert (await found(it, ask())).renew


async def test_where_nobody_answers_an_answer_that_has_ended_is_better_than_none():
    clock = Clock()
    it = cache(clock, ttl_s=100, stale_s=1000)
    store(it, ask())
    clock.now += 500
    assert await found(it, ask()) is None
    hit = await found(it, ask(), stale=True)
    assert (hit.outcome, hit.renew) == ("stale", False)
    clock.now += 601
    assert await found(it, ask(), stale=True) is None


async def test_a_request_may_ask_for_a_life_of_its_own():
    clock = Clock()
    it = cache(clock, ttl_s=100, max_ttl_s=500)
    long, short = (Controls(cache="on", ttl_s=ttl) for ttl in (10_000, 5))
    store(it, ask("long", controls=long))
    clock.now += 10
    assert await found(it, ask("long", controls=short)) is None
    assert await found(it, ask("long")) is not None
    clock.now += 300
    assert await found(it, ask("long", controls=long)) is not None
    assert await found(it, ask("long")) is None
    clock.now += 200
    assert await found(it, ask("long", controls=long)) is None
    store(it, ask("none", controls=Controls(cache="on", ttl_s=0)))
    assert it.books.of("default").unfit == 1


async def test_a_bump_forgets_what_depends_on_the_tag_and_nothing_else():
    it = cache()
    admin = CacheAdmin(it)
    prompt, repo = (Controls(tags=(tag,)) for tag in ("prompt:v1", "repo:x@abc"))
    requests = [ask(), ask(controls=prompt), ask(controls=repo)]
    for request in requests:
        store(it, request)
    await admin.bump("default", ["prompt:v1"])
    assert [await found(it, r) is not None for r in requests] == [True, False, True]
    await admin.bump("stranger", ["repo:x@abc"])
    assert [await found(it, r) is not None for r in requests] == [True, False, True]
    await admin.bump("default", ["model:m"])
    assert [await found(it, r) is not None for r in requests] == [False] * 3


async def test_a_tenant_forgets_everything_of_its_own():
    it = cache()
    other = Caller(user_id="x", tenant_id="other")
    store(it, ask())
    store(it, ask(caller=other))
    await CacheAdmin(it).forget("default")
    assert await found(it, ask()) is None
    assert await found(it, ask(caller=other)) is not None


async def test_one_answer_is_forgotten_by_its_key_and_by_its_tenant_only():
    it = cache()
    admin = CacheAdmin(it)
    name = store(it, ask()).name
    with pytest.raises(NotFound):
        await admin.purge("stranger", name)
    assert await found(it, ask()) is not None
    await admin.purge("default", name)
    assert await found(it, ask()) is None
    with pytest.raises(NotFound):
        await admin.purge("default", name)
    with pytest.raises(InvalidInput):
        await admin.purge("default", "no hex")


async def test_an_answer_that_was_asked_for_before_a_bump_does_not_outlive_it():
    it = cache()
    plan = it.plan(ask(), MODEL)
    await it.find(plan)
    await CacheAdmin(it).forget("default")
    it.keep(plan, batches(), outcome())
    assert await found(it, ask()) is None


async def test_another_model_is_another_answer():
    it = cache()
    store(it, ask())
    assert await found(it, ask(), OTHER) is None


async def test_statistics_are_a_tenants_own():
    it = cache()
    admin = CacheAdmin(it)
    store(it, ask(), cost=500)
    await found(it, ask())
    await found(it, ask("else"))
    store(it, ask("cut"), SAID[:1])
    told = admin.stats("default")
    expected = {
        "hits": 1,
        "misses": 1,
        "stored": 1,
        "unfit": 1,
        "saved": 500,
        "hit_rate": 0.5,
        "semantic_precision": None,
    }
    assert {name: told[name] for name in expected} == expected
    assert told["store"]["entries"] == 1
    assert told["store"]["bytes"] > 0
    assert admin.stats("stranger")["hits"] == 0


def test_a_generation_never_comes_again():
    clock = Clock()
    known = Generations(lives_s=100, clock=clock, most=3)
    tag = scoped("t", "a")
    seen = {known.stamp([tag])}
    for step in (0, -50, 10, 1000):  # a clock that goes back, and one that leaps
        clock.now += step
        known.bump([tag])
        assert known.stamp([tag]) not in seen
        seen.add(known.stamp([tag]))


def test_others_take_over_a_bump_although_the_clock_went_back():
    clock = Clock()
    ours, theirs = (Generations(lives_s=100, clock=clock) for _ in range(2))
    for _ in range(3):
        clock.now -= 10
        theirs.learn(ours.bump(["a"]))
        assert theirs.stamp(["a"]) == ours.stamp(["a"]) != ("",)


def test_tags_are_bounded_and_forgetting_them_forgets_their_answers():
    clock = Clock()
    known = Generations(lives_s=100, clock=clock, most=3)
    before = known.stamp(["never bumped", "0"])
    for number in range(10):
        known.bump([str(number)])
    after = known.stamp(["never bumped", "0"])
    assert len(known._now) <= 3
    assert not set(before) & set(after)


def test_old_generations_are_forgotten_when_nothing_can_carry_them_any_more():
    clock = Clock()
    known = Generations(lives_s=100, clock=clock, most=2)
    known.bump(["a", "b"])
    clock.now += 101
    known.bump(["c"])
    assert known.stamp(["a", "b"]) == ("", "")
    assert known.stamp(["c"]) != ("",)
