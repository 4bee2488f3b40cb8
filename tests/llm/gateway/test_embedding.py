"""Embeddings: asked for once, paid, written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from codelab.llm.cache.embeddings import EmbeddingCache
from codelab.llm.cache.stores import Generations, MemoryStore
from codelab.llm.catalog import Catalogue, Model, Price
from codelab.llm.chat import Caller, CompletionRequest, Controls, Outcome
from codelab.llm.embedding import Embedder
from codelab.llm.errors import BudgetExceeded, NoModel, Rejected, ServerFailed
from codelab.llm.seams import Parts
from tests.llm.gateway.doubles import DEAR, NOBODY, Book, Named, Purse, Scripted, Shelf, priced

WORDS = Model(
    id="words",
    provider=NOBODY,
    upstream="w",
    capabilities=frozenset({"embed"}),
    price=Price(input=10**6),
    roles=("embed",),
)


@dataclass
class Asked(Scripted):
    """A provider that embeds a text as its length."""

    inputs: list[list[Any]] = field(default_factory=list)
    fails: bool = False

    async def embed(self, request: CompletionRequest, model: Model, outcome: Outcome) -> dict[str, Any]:
        outcome.attempts += 1
        body = request.body
        self.inputs.append(body["input"])
        if self.fails:
            raise ServerFailed("down")
        data = [{"index": i, "embedding": [float(len(one)), 0.5]} for i, one in enumerate(body["input"])]
        return {"data": data[::-1], "model": model.upstream, "usage": {"prompt_tokens": 5 * len(data)}}


@dataclass
class House:
    ask: Asked = field(default_factory=Asked)
    budgets: Purse = field(default_factory=Purse)
    ledger: Book = field(default_factory=Book)

    def __post_init__(self) -> None:
        parts = Parts(
            models={},
            router=Named(),
            attempts=self.ask,
            cache=Shelf(),
            budgets=self.budgets,
            ledger=self.ledger,
            cost=priced,
        )
        cache = EmbeddingCache(MemoryStore(max_bytes=1_000_000, generations=Generations(lives_s=60)), ttl_s=60)
        self.embedder = Embedder(parts=parts, catalogue=Catalogue([WORDS, DEAR]), cache=cache)

    async def vectors(self, given: Any, *, controls: Controls | None = None, **more: Any) -> list[list[float]]:
        body = {"model": "words", "input": given} | more
        asked = CompletionRequest(body=body, caller=Caller(user_id="u"), controls=controls or Controls())
        answer, _ = await self.embedder.embed(asked)
        assert [one["index"] for one in answer["data"]] == list(range(len(answer["data"])))
        return [one["embedding"] for one in answer["data"]]


async def test_each_text_is_asked_for_once_and_paid_once() -> None:
    house = House()
    assert await house.vectors(["a", "bbb", "a"]) == [[1.0, 0.5], [3.0, 0.5], [1.0, 0.5]]
    assert await house.vectors("bbb", model="embed") == [[3.0, 0.5]]
    assert house.ask.inputs == [["a", "bbb"]]
    rows = [(o.cache, o.usage.input_tokens, o.cost) for _, o in house.ledger.rows]
    assert rows == [("miss", 10, 10), ("hit", 0, 0)]
    assert house.budgets.settled == [10]


@pytest.mark.parametrize("given", ["x" * 4_000, ["x" * 2_000] * 2, [7] * 1_000], ids=["text", "texts", "tokens"])
async def test_room_is_reserved_for_what_is_embedded(given: Any) -> None:
    house = House()
    await house.vectors(given)
    assert 1_000 <= house.budgets.reserved[0] <= 4_000


async def test_token_arrays_are_texts_too() -> None:
    house = House()
    assert await house.vectors([1, 2, 3]) == [[3.0, 0.5]]
    assert await house.vectors([[1], [1, 2]]) == [[1.0, 0.5], [2.0, 0.5]]
    assert house.ask.inputs == [[[1, 2, 3]], [[1], [1, 2]]]


async def test_who_wants_no_cache_is_asked_for() -> None:
    house = House()
    for _ in range(2):
        await house.vectors("a", controls=Controls(cache="off"))
    assert house.ask.inputs == [["a"], ["a"]]


@pytest.mark.parametrize(
    "given", [None, "", [], [""], [["a"]], {"a": 1}, [1, "a"], ["a"] * 2049], ids=lambda given: str(given)[:20]
)
async def test_what_cannot_be_embedded_is_refused(given: Any) -> None:
    house = House()
    with pytest.raises(Rejected, match="input"):
        await house.vectors(given)
    assert house.ledger.rows[0][1].error == "invalid_request"


async def test_a_model_that_talks_embeds_nothing() -> None:
    with pytest.raises(NoModel, match="embeds nothing"):
        await House().vectors("a", model="dear")


async def test_a_spent_budget_and_a_failing_provider_stand_in_the_ledger() -> None:
    house = House(budgets=Purse(limit=-1))
    with pytest.raises(BudgetExceeded):
        await house.vectors("a")
    assert (house.ledger.rows[0][1].error, house.ask.inputs) == ("budget_exceeded", [])
    house = House(ask=Asked(fails=True))
    with pytest.raises(ServerFailed):
        await house.vectors("a")
    assert house.budgets.settled == [0]
    assert (house.ledger.rows[0][1].error, house.ledger.rows[0][1].attempts) == ("upstream_error", 1)
