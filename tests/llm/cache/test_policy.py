"""Who is answered from the cache, and what goes into it."""

from __future__ import annotations

import pytest

from codelab.llm.chat import Caller, Controls
from codelab.llm.events import Extra, Finish, Reasoning, Text, ToolCall
from tests.llm.cache.support import MODEL, SAID, USED, ask, cache, found, store

AGENT = Caller(user_id="a", agent="coder")
EVALUATION = Caller(user_id="a", run_id="run-1")


def plans(request, **settings) -> bool:
    return cache(**settings).plan(request, MODEL) is not None


@pytest.mark.parametrize(
    ("request_", "settings", "cached"),
    [
        (ask(), {}, True),
        (ask(temperature=0.0), {}, True),
        (ask(temperature=0.2), {}, False),
        (ask(without="temperature"), {}, False),
        (ask(temperature=None), {}, False),
        (ask(caller=AGENT), {}, False),
        (ask(caller=EVALUATION), {}, False),
        (ask(caller=AGENT), {"agents": True}, True),
        (ask(caller=AGENT, controls=Controls(cache="on")), {}, True),
        (ask(caller=EVALUATION, controls=Controls(cache="refresh")), {}, True),
        (ask(temperature=1, controls=Controls(cache="on")), {}, True),
        (ask(controls=Controls(cache="off")), {}, False),
        (ask(controls=Controls(cache="on")), {"enabled": False}, False),
        (ask(store=True, controls=Controls(cache="on")), {}, False),
        (ask(previous_response_id="r", controls=Controls(cache="on")), {}, False),
        (ask(conversation="c", controls=Controls(cache="on")), {}, False),
        (ask(web_search_options={}), {}, False),
    ],
)
def test_who_is_cached(request_, settings, cached):
    assert plans(request_, **settings) is cached


def test_refresh_does_not_read_and_only_does_not_ask():
    refresh = cache().plan(ask(controls=Controls(cache="refresh")), MODEL)
    only = cache().plan(ask(controls=Controls(cache="only")), MODEL)
    assert (refresh.reads, refresh.only, only.reads, only.only) == (False, False, True, True)


async def test_only_finds_nothing_where_nothing_may_be_cached():
    it = cache()
    plan = it.plan(ask(store=True, controls=Controls(cache="only")), MODEL)
    assert plan.only
    assert await it.find(plan) is None


async def test_refresh_replaces_what_there_was():
    it = cache()
    store(it, ask())
    store(it, ask(controls=Controls(cache="refresh")), [[Text("new")], [Finish("stop")]])
    assert (await found(it, ask())).batches == [[Text("new"), Finish("stop")]]


CALL = ToolCall(0, "c", "f", "{}")


@pytest.mark.parametrize(
    ("said", "ended", "kept"),
    [
        (SAID, {}, True),
        ([[CALL], [Finish("tool_calls")]], {}, True),
        ([[Text("a"), Text("b", 1)], [Finish("stop"), Finish("stop", 1)]], {}, True),
        ([[Text("cut")]], {}, False),
        ([[Text("a"), Text("b", 1)], [Finish("stop")]], {}, False),
        ([[Text("long")], [Finish("length")]], {}, False),
        ([[Text("bad")], [Finish("content_filter")]], {}, False),
        ([[Text("a"), Text("b", 1)], [Finish("stop"), Finish("length", 1)]], {}, False),
        ([[Finish("stop"), USED]], {}, False),
        ([[Reasoning("hm")], [Finish("stop")]], {}, False),
        (SAID, {"error": "upstream_interrupted"}, False),
        (SAID, {"error": "cancelled"}, False),
        (SAID, {"degraded": "offline"}, False),
        (SAID, {"model": "another"}, False),
        ([[Text("a"), Extra({"x": object()})], [Finish("stop")]], {}, False),
    ],
)
async def test_only_a_clean_answer_is_kept(said, ended, kept):
    it = cache()
    store(it, ask(), said, **ended)
    assert (await found(it, ask()) is not None) is kept
    assert (it.books.of("default").stored, it.books.of("default").unfit) == (int(kept), int(not kept))


async def test_every_choice_that_was_asked_for_must_have_ended():
    it = cache()
    store(it, ask(n=2), [[Text("a")], [Finish("stop")]])
    assert await found(it, ask(n=2)) is None


async def test_an_answer_that_is_too_large_is_not_kept():
    it = cache(max_entry_bytes=1000)
    store(it, ask(), [[Text("x" * 1000)], [Finish("stop")]])
    assert await found(it, ask()) is None
