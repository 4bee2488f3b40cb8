"""An answer to a similar question is given only where nothing tells the questions apart and the entry has earned it."""

from __future__ import annotations

import random
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.core.settings_llm import ResponseCacheSettings, SemanticCacheSettings
from codelab.llm.cache.cache import ResponseCache
from codelab.llm.cache.counters import Books
from codelab.llm.cache.guard import same_answer
from codelab.llm.cache.index import Index, Row, unit
from codelab.llm.cache.questions import has_code
from codelab.llm.cache.semantic import SemanticCache
from codelab.llm.cache.trust import earned, lower_bound
from codelab.llm.chat import Caller, Controls
from codelab.llm.errors import ServerFailed
from codelab.llm.events import Finish, Text
from codelab.llm.providers.hashing import hashed
from tests.llm.cache.support import MODEL, OTHER, Clock, ask, batches, memory, outcome

ONE, SAME = "How do I reverse a list in Python?", "How can I reverse a list in Python?"
ANSWER = "Call reversed() on it, or slice it with [::-1]."


async def embed(texts):
    return [list(hashed(text)) for text in texts]


async def blind(texts):
    """An embedder to which everything is the same."""
    return [[1.0, 0.0] for _ in texts]


def semantic(*, embed=embed, chance=lambda: 0.0, same=same_answer, books=None, **settings) -> ResponseCache:
    wishes = SemanticCacheSettings(**{"enabled": True, "shadow": False, "threshold": 0.8, **settings})
    similar = SemanticCache(embed, wishes, chance=chance, same=same)
    clock = Clock()
    return ResponseCache(memory(clock), ResponseCacheSettings(), semantic=similar, clock=clock, books=books)


async def tell(it, request, answer=ANSWER, model=MODEL):
    """Ask as the gateway does: the hit, or None after the upstream has given `answer`."""
    plan = it.plan(request, model)
    hit = await it.find(plan)
    if hit is None:
        it.keep(plan, batches([[Text(answer)], [Finish("stop")]]), outcome(model=model.id))
    return hit


async def earn(it, times=60, **how):
    """Let the entry of ONE be compared until it is trusted: the same question comes in other words, and is asked."""
    await tell(it, ask(ONE, **how))
    row = next(iter(it._semantic._index._partitions.values())).rows[0]
    for _ in range(times):
        row.note(0.8, same=True)


async def test_a_trusted_answer_is_given_to_the_same_question_in_other_words():
    it = semantic()
    await earn(it)
    hit = await tell(it, ask(SAME))
    assert (hit.outcome, hit.batches[0][0]) == ("semantic", Text(ANSWER))
    streamed = await tell(it, ask("How can I reverse a list in Python", stream=True))
    assert "".join(e.text for piece in streamed.batches for e in piece if isinstance(e, Text)) == ANSWER
    assert it.books.of("default").semantic == 2


async def test_an_answer_that_has_earned_nothing_is_not_given_and_is_compared():
    it = semantic()
    assert await tell(it, ask(ONE)) is None
    assert await tell(it, ask(SAME)) is None
    counters = it.books.of("default")
    assert (counters.semantic_hits, counters.scored, counters.agreed, counters.precision) == (1, 1, 1, 1.0)
    assert len(it._semantic) == 1, "one entry learns for all wordings that it answers"


async def test_shadow_gives_nothing_however_sure_it_is_and_tells_its_precision():
    it = semantic(shadow=True)
    await earn(it)
    assert await tell(it, ask(SAME)) is None
    assert await tell(it, ask("In Python, how do I reverse a list?"), "Something else, 42 times.") is None
    counters = it.books.of("default")
    assert (counters.scored, counters.agreed, counters.precision) == (2, 1, 0.5)
    assert counters.semantic_hit_rate == round(2 / 3, 4)


async def test_12234_questions_that_have_nothing_in_common_get_answers_of_their_own():
    it = semantic(embed=blind)
    await earn(it, times=60)
    for question in ("Hello world", "What is 1+1?", "How's the weather?", "Who are you?", "Tell me a joke"):
        assert await tell(it, ask(question)) is None, question
    assert it.books.of("default").guarded > 0


@pytest.mark.parametrize(
    "other",
    [
        {"caller": Caller(user_id="alice", tenant_id="other")},
        {"messages": [{"role": "system", "content": "You are a pirate"}, {"role": "user", "content": SAME}]},
        {"max_tokens": 5},
        {"response_format": {"type": "json_object"}},
        {"controls": Controls(tags=("repo:x@2",))},
        {"model": OTHER},
    ],
    ids=lambda other: next(iter(other)),
)
async def test_the_walls_hold(other):
    it = semantic()
    await earn(it)
    model = other.pop("model", MODEL)
    assert await tell(it, ask(SAME, **other), model=model) is None
    assert it.books.of("default").semantic == 0


TOOL = {"type": "function", "function": {"name": "f"}}
SAID = {"role": "user", "content": ONE}


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        (ask(ONE), True),
        (ask(messages=[{"role": "system", "content": "be kind"}, SAID]), True),
        (ask(messages=[{"role": "user", "content": [{"type": "text", "text": ONE}]}]), True),
        (ask(ONE, tools=[TOOL]), False),
        (ask(ONE, tools=[TOOL], controls=Controls(semantic=True)), True),
        (ask(messages=[SAID, {"role": "assistant", "content": "hi"}, SAID]), False),
        (ask(messages=[SAID, SAID]), False),
        (ask(messages=[SAID, {"role": "tool", "content": "x", "tool_call_id": "1"}]), False),
        (
            ask(
                messages=[SAID, {"role": "tool", "content": "x", "tool_call_id": "1"}], controls=Controls(semantic=True)
            ),
            False,
        ),
        (ask(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "u"}}]}]), False),
        (ask("What does this do?\n```\nx = 1\n```"), False),
        (ask(messages=[{"role": "system", "content": "def f():\n    return 1"}, SAID]), False),
        (ask(ONE, n=2), False),
        (ask("x" * 2001), False),
        (ask("   "), False),
        (ask(ONE, controls=Controls(semantic=False)), False),
    ],
)
def test_which_requests_are_questions(request_, asked):
    assert (semantic().plan(request_, MODEL).question is not None) is asked


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("How do I import a module?", False),
        ("Explain classes and functions; thanks!", False),
        ("import os\nprint(os.name)", True),
        ("if (x) {\n}", True),
        ("Traceback (most recent call last):\n  File", True),
        ("diff --git a/x b/x", True),
    ],
)
def test_what_code_looks_like(text, code):
    assert has_code(text) is code


async def test_without_an_embedder_there_is_no_similar_question_and_no_error():
    async def broken(_texts):
        raise ServerFailed("down")

    it = semantic(embed=broken)
    assert await tell(it, ask(ONE)) is None
    assert await tell(it, ask(SAME)) is None
    assert (await tell(it, ask(ONE))).outcome == "hit"


async def test_what_was_forgotten_is_not_given_to_a_similar_question_either():
    it = semantic()
    await earn(it)
    await it.bump(it.plan(ask(), MODEL).tags[:1])
    assert await tell(it, ask(SAME)) is None
    assert [row.text for row in next(iter(it._semantic._index._partitions.values())).rows] == [SAME]


async def test_a_question_is_known_once_however_often_it_is_asked():
    it = semantic()
    for _ in range(3):
        await tell(it, ask(ONE))
        it._clock.now += 86_401
    both = [it.plan(ask("Why is the sky blue?", stream=stream), MODEL) for stream in (True, False)]
    assert [await it.find(plan) for plan in both] == [None, None]
    for plan in both:
        it.keep(plan, batches([[Text(ANSWER)], [Finish("stop")]]), outcome())
    assert len(it._semantic) == 2


async def test_an_answer_that_has_ended_is_not_given_to_a_similar_question():
    it = semantic()
    await earn(it)
    it._clock.now += 86_401
    assert await tell(it, ask(SAME)) is None
    assert it.books.of("default").semantic_hits == 0


async def test_only_the_cache_may_answer_and_it_is_not_sure():
    it = semantic(chance=lambda: 1.0)
    await tell(it, ask(ONE))
    plan = it.plan(ask(SAME, controls=Controls(cache="only")), MODEL)
    assert await it.find(plan) is None


# What an entry has earned.

seen = st.lists(st.tuples(st.floats(0.5, 1), st.booleans()), max_size=40)


@given(seen, st.floats(0.5, 1), st.floats(0.001, 0.5))
def test_no_more_than_delta_of_the_answers_may_be_wrong(seen, similarity, delta):
    chance = earned(seen, similarity, delta=delta)
    right = sum(same for at, same in seen if at <= similarity)
    wrong = sum(not same for at, same in seen if at >= similarity)
    assert 0 <= chance <= 1
    if not right:
        assert chance == 0
    else:
        assert chance * (1 - lower_bound(right, right + wrong)) <= delta + 1e-9


@given(seen, st.floats(0.5, 0.9), st.floats(0, 0.1))
def test_a_more_similar_question_is_never_trusted_less(seen, similarity, more):
    assert earned(seen, similarity, delta=0.05) <= earned(seen, similarity + more, delta=0.05)


@pytest.mark.parametrize("right", [0.3, 0.7, 0.9, 0.99, 1.0])
def test_an_entry_that_is_often_wrong_is_seldom_given(right):
    """Asked again and again, an entry learns from what it did not dare to answer."""
    chance, delta, wrong, asked, given_ = random.Random(7), 0.05, 0, 40_000, 0  # noqa: S311 - repeatable
    for _ in range(asked // 400):
        row = Row(text="q", key=b"k", partition=b"p")
        for _ in range(400):
            same = chance.random() < right
            if chance.random() < earned(row.seen, 0.9, delta=delta):
                given_ += 1
                wrong += not same
            else:
                row.note(0.9, same=same)
    assert wrong / asked <= delta
    assert given_ / asked > 0.5 or right < 1


# The index.


@given(st.lists(st.sampled_from(range(30)), min_size=1, max_size=40), st.integers(0, 29))
def test_the_nearest_are_the_nearest_whatever_was_removed(numbers, wanted):
    vectors = np.random.default_rng(1).normal(size=(30, 8))
    index, kept = Index(1000), {}
    for number in numbers:
        if number in kept:
            index.remove(kept.pop(number))
        else:
            kept[number] = Row(text=str(number), key=b"%d" % number, partition=b"p")
            index.add(unit(vectors[number]), kept[number])
    assert len(index) == len(kept)
    told = [row.text for _, row in index.nearest(b"p", unit(vectors[wanted]), 3)]
    near = sorted(kept, key=lambda number: -float(unit(vectors[number]) @ unit(vectors[wanted])))
    assert told == [str(number) for number in near[:3]]


def test_the_index_is_bounded_and_the_least_used_partition_goes_first():
    index = Index(10)
    for number in range(25):
        index.add(unit([1.0, number]), Row(text="", key=b"%d" % number, partition=b"%d" % (number % 3)))
    assert len(index) <= 10
    for number in range(25):
        index.add(unit([1.0, number]), Row(text="", key=b"%d" % number, partition=b"one"))
    assert len(index) == 10


def test_another_embedder_begins_anew():
    index = Index(10)
    index.add(unit([1.0, 0.0]), Row(text="", key=b"1", partition=b"p"))
    assert index.nearest(b"p", unit([1.0, 0.0, 0.0])) == []
    index.add(unit([1.0, 0.0, 0.0]), Row(text="new", key=b"2", partition=b"p"))
    assert [row.text for _, row in index.nearest(b"p", unit([1.0, 0.0, 0.0]))] == ["new"]
    assert len(index) == 1
    assert [unit(vector) for vector in ([0.0, 0.0], [float("nan"), 1.0], [])] == [None] * 3


def test_who_does_not_use_it_does_not_load_what_it_needs():
    code = (
        "import sys; import codelab.llm.cache.build as b; from codelab.core.settings_llm import *;"
        "b.build_cache(settings=ResponseCacheSettings(), semantic=SemanticCacheSettings());"
        "print(sorted({'numpy', 'redis', 'langchain_core', 'langgraph'} & {m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_counters_of_many_tenants_are_bounded():
    books = Books()
    for number in range(1500):
        books.of(str(number)).hits += 1
    assert len(books._by_tenant) == 1000
