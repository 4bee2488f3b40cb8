"""Two requests are the same if nothing that can change the answer differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.chat import Caller, Controls
from tests.llm.cache.support import ALICE, MODEL, OTHER, Clock, ask, cache, found, store

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
CHANGES = {
    "messages": [{"role": "user", "content": "bye"}],
    "tools": [TOOL],
    "tool_choice": "none",
    "parallel_tool_calls": False,
    "response_format": {"type": "json_object"},
    "top_p": 0.5,
    "max_tokens": 7,
    "max_completion_tokens": 7,
    "stop": ["x"],
    "seed": 1,
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "logit_bias": {"1": 2},
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "reasoning_effort": "low",
    "verbosity": "low",
    "top_k": 3,
    "a_field_that_nobody_knows": 1,
}
SAME = {
    "stream": True,
    "stream_options": {"include_usage": True},
    "user": "u-17",
    "metadata": {"a": "b"},
    "service_tier": "flex",
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "store": False,
    "n": 1,
    "temperature": 0.0,
    "top_p": None,
    "model": "an-alias-of-m",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcd", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def key(request, model=MODEL, **settings):
    return cache(**settings).plan(request, model).key


@pytest.mark.parametrize("field", sorted(CHANGES))
def test_what_can_change_the_answer_changes_the_key(field):
    assert key(ask(**{field: CHANGES[field]})) != key(ask())


@pytest.mark.parametrize("field", sorted(SAME))
def test_what_cannot_change_the_answer_does_not(field):
    assert key(ask(**{field: SAME[field]})) == key(ask())


def test_the_model_that_was_resolved_counts():
    assert key(ask(), OTHER) != key(ask())


def test_tags_and_version_count():
    base = key(ask())
    assert key(ask(controls=Controls(tags=("prompt:1",)))) != base
    assert key(ask(), version="2") != base
    one, other = (key(ask(controls=Controls(tags=tags))) for tags in (("a", "b"), ("b", "a")))
    assert one == other


def test_a_user_has_an_answer_of_their_own_only_if_a_setting_says_so():
    bob = Caller(user_id="bob")
    assert key(ask(caller=bob)) == key(ask())
    assert key(ask(caller=bob), per_user=True) != key(ask(), per_user=True)


def reordered(value):
    if isinstance(value, dict):
        return {name: reordered(value[name]) for name in reversed(list(value))}
    return [reordered(one) for one in value] if isinstance(value, list) else value


@given(json_values, json_values)
def test_the_order_of_members_says_nothing_and_everything_else_does(one, other):
    def with_schema(schema):
        return ask(tools=[{"type": "function", "function": {"name": "f", "parameters": {"it": schema}}}])

    assert key(with_schema(one)) == key(with_schema(reordered(one)))
    same = one == other and repr(reordered(one)) == repr(reordered(other))
    if not same and one != other:
        assert key(with_schema(one)) != key(with_schema(other))


async def test_another_tenant_never_hits():
    it = cache(Clock())
    store(it, ask())
    assert await found(it, ask()) is not None
    stranger = Caller(user_id=ALICE.user_id, tenant_id="other")
    assert await found(it, ask(caller=stranger)) is None
    assert key(ask(caller=stranger))[:8] != key(ask())[:8]


def test_a_body_that_is_no_json_is_not_cached():
    assert cache().plan(ask(logit_bias={1: object()}), MODEL) is None
    assert cache().plan(ask("\ud800"), MODEL) is None


def test_too_many_tags_or_too_long_ones_are_not_cached():
    assert cache().plan(ask(controls=Controls(tags=("x" * 201,))), MODEL) is None
    assert cache().plan(ask(controls=Controls(tags=tuple(map(str, range(17))))), MODEL) is None
