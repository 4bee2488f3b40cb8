"""Every request ends in one row, one settled reservation, and a closed upstream, however it ends."""

from __future__ import annotations

import asyncio

import pytest

from codelab.llm.chat import DIRECT, Controls, Outcome
from codelab.llm.errors import AllDown, BudgetExceeded, Interrupted, NoModel, NotCached, ServerFailed
from codelab.llm.events import Batch, Finish, Text, Used
from codelab.llm.seams import Hit
from codelab.llm.usage import Usage
from tests.llm.gateway.doubles import (
    CHEAP,
    DEAR,
    SAID,
    USAGE,
    Flown,
    House,
    Named,
    Purse,
    Scripted,
    Shelf,
    Wish,
    request,
    text,
)

HIT = Hit(batches=SAID, outcome="hit", model="dear", cost=13_000)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_paid_for_what_it_used(stream: bool) -> None:
    house = House()
    assert await text(house.gateway, request(stream=stream)) == "one two"
    assert house.row.cost == 13_000
    assert house.row.usage == USAGE
    assert (house.row.finish, house.row.error, house.row.cache) == ("stop", "", "bypass")
    assert house.budgets.settled == [13_000]
    assert house.budgets.reserved[0] >= 13_000


async def test_who_answers_is_known_before_the_first_piece_is_read() -> None:
    answering = House().gateway.answer(request(stream=True))
    await answering.first()
    assert answering.outcome.model == "dear"
    assert [b.events async for b in answering] == list(SAID)


async def test_bytes_are_passed_through_and_only_the_telling_frames_are_read() -> None:
    read: list[bytes] = []

    def decode(frames: bytes) -> list[object]:
        read.append(frames)
        return [Finish("stop")] if b"finish_reason" in frames else [Used(USAGE)]

    talk = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n' * 50
    end = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n'
    used = b'data: {"choices":[],"usage":{"prompt_tokens":7}}\n\n'
    house = House()

    class Raw(Scripted):
        async def answer(self, request, candidates, outcome):  # noqa: ARG002
            outcome.model = candidates[0].id
            for raw in (talk, talk + end + used):
                yield Batch(raw=raw, decode=decode)

    house.attempts = Raw()
    assert [b.raw async for b in house.gateway.answer(request(stream=True))] == [talk, talk + end + used]
    assert read == [end, used]
    assert (house.row.cost, house.row.finish) == (13_000, "stop")


async def test_a_client_that_goes_pays_for_what_was_said() -> None:
    house = House(attempts=Scripted([[Text("word " * 20)], asyncio.Event()]))
    answering = house.gateway.answer(request(stream=True))
    await answering.first()
    await answering.close()
    assert house.attempts.closed == 1
    assert house.row.error == "cancelled"
    assert house.row.usage.estimated
    assert house.row.usage.output_tokens > 20
    assert house.budgets.settled == [house.row.cost]
    assert house.row.cost > 0


async def test_an_answer_that_breaks_off_is_an_error_and_is_paid() -> None:
    house = House(attempts=Scripted([[Text("half")], Interrupted("cut")]), cache=Shelf(plans=Wish(), old=HIT))
    with pytest.raises(Interrupted):
        await text(house.gateway, request(stream=True))
    assert house.row.error == "upstream_interrupted"
    assert house.budgets.settled == [house.row.cost]
    assert house.cache.kept == []


async def test_what_is_refused_stands_in_the_ledger_too() -> None:
    house = House(budgets=Purse(limit=1))
    with pytest.raises(BudgetExceeded):
        await text(house.gateway, request())
    assert (house.row.error, house.row.attempts, house.row.cost) == ("budget_exceeded", 0, 0)
    assert house.attempts.asked == []

    class Unknown(Named):
        def candidates(self, request):  # noqa: ARG002
            raise NoModel("none")

    house = House(router=Unknown())
    with pytest.raises(NoModel):
        await text(house.gateway, request())
    assert house.row.error == "model_not_found"


async def test_a_budget_may_have_a_cheaper_model_asked() -> None:
    house = House(budgets=Purse(limit=10**5, cheaper=True), router=Named((DEAR, CHEAP)))
    assert await text(house.gateway, request(stream=True)) == "one two"
    assert house.attempts.asked == [["cheap"]]
    assert (house.row.model, house.row.degraded) == ("cheap", "cheaper")


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stored_answer_costs_nothing(stream: bool) -> None:
    house = House(cache=Shelf(plans=Wish(), fresh=HIT))
    batches = [b.events async for b in house.gateway.answer(request(stream=stream, controls=DIRECT))]
    assert batches == (list(SAID) if stream else [[e for events in SAID for e in events]])
    assert (house.row.cache, house.row.cost, house.row.saved, house.row.usage) == ("hit", 0, 13_000, USAGE)
    assert house.attempts.asked == house.budgets.reserved == []


async def test_a_fresh_answer_is_kept_once_it_has_ended_well() -> None:
    house = House(cache=Shelf(plans=Wish()))
    assert await text(house.gateway, request(stream=True, controls=DIRECT)) == "one two"
    assert (house.row.cache, house.row.cache_key) == ("miss", "key")
    assert [[b.events for b in kept] for kept in house.cache.kept] == [list(SAID)]


async def test_who_follows_another_pays_nothing() -> None:
    house = House(cache=Shelf(plans=Wish(), leads=False))
    assert await text(house.gateway, request(stream=True, controls=DIRECT)) == "one two"
    assert (house.row.cache, house.row.cost, house.row.saved) == ("shared", 0, 13_000)


async def test_who_follows_a_broken_answer_hears_of_it_and_pays_nothing() -> None:
    class Broken(Shelf):
        def join(self, plan, ask, outcome):  # noqa: ARG002
            return Flown(False, Scripted([[Text("half")], Interrupted("cut")]).answer(request(), (DEAR,), Outcome()))

    house = House(cache=Broken(plans=Wish()))
    with pytest.raises(Interrupted):
        await text(house.gateway, request(stream=True, controls=DIRECT))
    assert (house.row.cache, house.row.error, house.row.cost) == ("shared", "upstream_interrupted", 0)


async def test_anothers_empty_purse_is_not_mine() -> None:
    class Crowded(Shelf):
        first: bool = True

        def join(self, plan, ask, outcome):  # noqa: ARG002
            led, self.first = not self.first, False
            poor = Scripted([BudgetExceeded("theirs")]).answer(request(), (DEAR,), Outcome())
            return Flown(led, ask() if led else poor)

    house = House(cache=Crowded(plans=Wish()))
    assert await text(house.gateway, request(stream=True, controls=DIRECT)) == "one two"
    assert (house.row.cache, house.row.error, house.row.cost) == ("miss", "", 13_000)


async def test_only_the_cache_may_answer() -> None:
    house = House(cache=Shelf(plans=Wish(only=True)))
    with pytest.raises(NotCached):
        await text(house.gateway, request(controls=Controls(cache="only")))
    assert house.row.error == "not_cached"


@pytest.mark.parametrize("error", [ServerFailed("down"), AllDown("all", retry_after=3)], ids=["failed", "all down"])
async def test_an_old_answer_stands_in_where_nobody_answers(error: Exception) -> None:
    old = Hit(batches=SAID, outcome="stale", model="dear", cost=5)
    house = House(attempts=Scripted([error]), cache=Shelf(plans=Wish(), old=old))
    answering = house.gateway.answer(request(stream=True, controls=DIRECT))
    assert "".join([e.text async for b in answering for e in b.events if isinstance(e, Text)]) == "one two"
    assert (answering.outcome.cache, answering.outcome.degraded) == ("stale", "stale")
    assert (house.row.attempts, house.row.error, house.row.cost) == (1, "", 0)
    assert house.budgets.settled == [0]


async def test_an_answer_that_grew_old_is_asked_for_anew_behind_the_clients_back() -> None:
    house = House(cache=Shelf(plans=Wish(), fresh=Hit(batches=SAID, outcome="stale", model="dear", cost=1, renew=True)))
    gateway = house.gateway
    assert await text(gateway, request(stream=True, controls=DIRECT)) == "one two"
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(house.cache.kept) == 1
    assert sorted(o.cache for _, o in house.ledger.rows) == ["miss", "stale"]
    await gateway.close()


async def test_a_free_model_reserves_nothing() -> None:
    free = House(router=Named([type(DEAR)(id="free", provider=DEAR.provider, upstream="f")]), budgets=Purse(limit=0))
    assert await text(free.gateway, request(stream=True)) == "one two"
    assert free.budgets.reserved == [0]


def test_a_sum_of_usages_with_a_guess_in_it_is_a_guess() -> None:
    whole = Usage(1, 2, reasoning_tokens=1) + Usage(3, 4, estimated=True)
    assert whole == Usage(4, 6, reasoning_tokens=1, estimated=True)
