"""What users of other gateways complain about, by the number of the complaint."""

import pytest

from codelab.llm.catalog import Model
from codelab.llm.chat import Outcome
from codelab.llm.errors import AllDown, ConnectFailed, Interrupted, ServerFailed, UpstreamError
from codelab.llm.resilience.view import overview
from tests.llm.resilience.doubles import END, ROLE, THOUGHT, chunk, model, read, request, text_of, world

A, B = model("a"), model("b", provider="q")
GOOD = [ROLE, chunk("good"), END]


async def fails(w, *models: Model, times: int = 1, error: type[Exception] = UpstreamError) -> None:
    for _ in range(times):
        with pytest.raises(error):
            await w.ask(models)


async def test_32574_the_second_failure_and_all_later_ones_cool_down_too():
    w = world({"a": [[ConnectFailed("nobody")]]}, patience_s=0)
    opened = []
    for _ in range(4):
        await fails(w, A, times=5 if not opened else 1)
        assert w.line(A).breaker.state == "open"
        opened.append(w.line(A).wait_s)
        w.clock.now += w.line(A).wait_s
    assert opened == sorted(opened)
    w.provided.then("a", GOOD)
    assert (await w.ask([A]))[0] == "good"
    w.provided.then("a", [ConnectFailed("nobody")])
    await fails(w, A, times=5)
    assert w.line(A).breaker.state == "open"


async def test_27610_failed_connections_count():
    w = world({"a": [[ConnectFailed("nobody")]], "b": [GOOD]})
    for _ in range(5):
        assert (await w.ask([A, B]))[0] == "good"
    assert w.line(A).breaker.state == "open"
    assert w.line(A).endpoint.state == "open"  # nobody there: its other models need not find out by themselves
    await w.ask([A, B])
    assert w.provided.asked.count("a") == 5


async def test_27610_another_model_of_an_unreachable_provider_is_not_asked():
    other = model("c")
    w = world({"a": [[ConnectFailed("nobody")]], "c": [GOOD]}, patience_s=0)
    await fails(w, A, times=5)
    await fails(w, other, error=AllDown)
    assert "c" not in w.provided.asked


async def test_27610_a_model_that_must_wait_does_not_keep_the_others_from_trying_the_address():
    other = model("c")
    w = world({"a": [[ConnectFailed("nobody", retry_after=60)]], "c": [GOOD]}, patience_s=0, connect_failures=1)
    await fails(w, A)
    w.clock.now += 10
    assert w.line(A).endpoint.state == "half_open"
    await fails(w, A, error=AllDown)
    assert (await w.ask([other]))[0] == "good"


async def test_34416_a_fallback_that_fails_is_cooled_as_well():
    w = world({"a": [[ServerFailed("500")]], "b": [[ServerFailed("500")]]}, patience_s=0)
    await fails(w, A, B, times=10)
    assert w.line(A).breaker.state == w.line(B).breaker.state == "open"
    asked = len(w.provided.asked)
    await fails(w, A, B, error=AllDown)
    assert len(w.provided.asked) == asked


async def test_34416_the_open_time_does_not_grow_while_it_runs():
    w = world({"a": [[ServerFailed("500")]]}, patience_s=0)
    await fails(w, A, times=10)
    until = w.line(A).breaker.until
    for _ in range(20):
        w.clock.now += 0.1
        await fails(w, A, error=AllDown)
    assert w.line(A).breaker.until == until
    assert until - 1_000 <= 5 + 2


async def test_25504_the_state_can_be_seen():
    w = world({"a": [[ConnectFailed("nobody")]], "b": [GOOD]}, patience_s=0)
    for _ in range(5):
        await w.ask([A, B])
    seen = {one.name: one for one in overview(w.upstreams, [A, B]).providers}
    assert (seen["p"].state, seen["q"].state) == ("open", "closed")
    mine = seen["p"].models[0]
    assert (mine.id, mine.state, mine.last_error) == ("a", "open", "upstream_unreachable")
    assert 2.5 <= mine.retry_in_s <= 5
    assert mine.last_error_s_ago == 0
    assert mine.error_ratio > 0.5


async def test_25504_what_is_seen_names_no_key_and_no_address():
    w = world({"a": [GOOD]})
    assert "http" not in repr(overview(w.upstreams, [A]))


@pytest.mark.parametrize("complaint", ["caracal_344", "aden_hive_6070"])
async def test_no_second_answer_is_run_on_after_the_first_word(complaint):
    del complaint  # two projects, one wound
    w, said = world({"a": [[ROLE, chunk("The answer"), ServerFailed("gone")]], "b": [GOOD]}, max_retries=2), []
    with pytest.raises(Interrupted):
        await read(w.upstreams.answer(request(), [A, B], Outcome()), into=said)
    assert text_of(said) == "The answer"
    assert w.provided.asked == ["a"]


async def test_any_llm_847_an_error_is_not_swallowed():
    """A stream that breaks off must not look like one that ended."""
    w = world({"a": [[ROLE, chunk("half"), ServerFailed("gone")]]})
    answer = w.upstreams.answer(request(), [A], Outcome())
    await anext(answer)
    await anext(answer)
    with pytest.raises(Interrupted, match="upstream_error"):
        await anext(answer)


async def test_mecatl_103_thoughts_alone_do_not_commit():
    w = world({"a": [[ROLE, THOUGHT, THOUGHT, ServerFailed("gone")]], "b": [GOOD]})
    text, outcome = await w.ask([A, B])
    assert text == "good"
    assert outcome.degraded == "failover"


async def test_41777_a_cut_is_told_so_that_the_client_asks_again():
    w = world({"a": [[ROLE, chunk("half"), ServerFailed("gone")]]})
    with pytest.raises(Interrupted) as told:
        await w.ask([A])
    assert (told.value.status, told.value.kind, told.value.retryable) == (502, "api_error", True)
