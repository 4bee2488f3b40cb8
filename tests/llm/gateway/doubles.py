"""The gateway's parts, as small as they can be, behind the same seams."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from codelab.llm.catalog import Model, Price, Provider
from codelab.llm.chat import AGENT, Caller, CompletionRequest, Controls, Outcome
from codelab.llm.errors import BudgetExceeded
from codelab.llm.events import Batch, Finish, Text, Used
from codelab.llm.gateway import Gateway
from codelab.llm.seams import Hit, Parts
from codelab.llm.usage import Usage

NOBODY = Provider(name="p", kind="offline")
DEAR = Model(id="dear", provider=NOBODY, upstream="dear", price=Price(input=10**9, output=2 * 10**9))
CHEAP = Model(id="cheap", provider=NOBODY, upstream="cheap", price=Price(input=10**6, output=10**6))
USAGE = Usage(7, 3)
SAID = ([Text("one ")], [Text("two")], [Finish("stop"), Used(USAGE)])


def priced(price: Price, usage: Usage) -> int:
    return (usage.input_tokens * price.input + usage.output_tokens * price.output) // 10**6


def request(*, controls: Controls = AGENT, **body: Any) -> CompletionRequest:
    whole = {"model": "dear", "messages": [{"role": "user", "content": "x" * 40}], "max_tokens": 100} | body
    return CompletionRequest(body=whole, caller=Caller(user_id="u"), controls=controls)


@dataclass
class Scripted:
    """Attempts that give the batches they were given; an exception among them is raised."""

    said: Sequence[Any] = SAID
    asked: list[list[str]] = field(default_factory=list)
    closed: int = 0

    async def answer(
        self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome
    ) -> AsyncGenerator[Batch, None]:
        self.asked.append([model.id for model in candidates])
        outcome.model, outcome.provider = candidates[0].id, "p"
        outcome.attempts += 1
        try:
            plain = all(isinstance(events, list) for events in self.said)
            whole = plain and not request.streamed
            for events in [[event for piece in self.said for event in piece]] if whole else self.said:
                if isinstance(events, Exception):
                    raise events
                if isinstance(events, asyncio.Event):
                    await events.wait()
                    continue
                yield Batch(events)
        finally:
            self.closed += 1

    async def embed(self, request: CompletionRequest, model: Model, outcome: Outcome) -> dict[str, Any]:
        raise NotImplementedError


@dataclass
class Purse:
    """One budget of `limit`."""

    limit: int = 10**12
    cheaper: bool = False
    reserved: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    async def reserve(self, caller: Caller, most: int) -> Any:  # noqa: ARG002
        if most > self.limit:
            raise BudgetExceeded("no room", cheaper=self.cheaper)
        self.reserved.append(most)
        return self

    def settle(self, cost: int) -> None:
        self.settled.append(cost)


@dataclass
class Book:
    rows: list[tuple[CompletionRequest, Outcome]] = field(default_factory=list)

    def add(self, request: CompletionRequest, outcome: Outcome) -> None:
        self.rows.append((request, outcome))


@dataclass
class Wish:
    name: str = "key"
    reads: bool = True
    only: bool = False


async def said() -> AsyncGenerator[Batch, None]:
    for events in SAID:
        yield Batch(events)


@dataclass
class Flown:
    leads: bool
    source: AsyncGenerator[Batch, None]
    outcome: Outcome = field(default_factory=Outcome)

    async def batches(self) -> AsyncIterator[Batch]:
        async for batch in self.source:
            yield batch


@dataclass
class Shelf:
    """A cache of one answer; `plans` is None where nothing may be cached."""

    plans: Wish | None = None
    fresh: Hit | None = None
    old: Hit | None = None
    leads: bool = True
    kept: list[list[Batch]] = field(default_factory=list)

    def plan(self, request: CompletionRequest, model: Model) -> Any:  # noqa: ARG002
        return self.plans

    async def find(self, plan: Any, *, stale: bool = False) -> Hit | None:  # noqa: ARG002
        return self.old if stale else self.fresh

    def join(self, plan: Any, ask: Callable[[], AsyncGenerator[Batch, None]], outcome: Outcome) -> Any:  # noqa: ARG002
        return Flown(self.leads, ask() if self.leads else said())

    def keep(self, plan: Any, batches: Sequence[Batch], outcome: Outcome) -> None:  # noqa: ARG002
        self.kept.append(list(batches))


@dataclass
class Named:
    models: Sequence[Model] = (DEAR,)

    def candidates(self, request: CompletionRequest) -> Sequence[Model]:  # noqa: ARG002
        return self.models


@dataclass
class House:
    """A gateway and all its parts."""

    attempts: Scripted = field(default_factory=Scripted)
    budgets: Purse = field(default_factory=Purse)
    cache: Shelf = field(default_factory=Shelf)
    ledger: Book = field(default_factory=Book)
    router: Named = field(default_factory=Named)

    @property
    def gateway(self) -> Gateway:
        known = {model.id: model for model in (DEAR, CHEAP)}
        parts = Parts(
            models=known,
            router=self.router,
            attempts=self.attempts,
            cache=self.cache,
            budgets=self.budgets,
            ledger=self.ledger,
            cost=priced,
        )
        return Gateway(parts)

    @property
    def row(self) -> Outcome:
        """The only row of the ledger."""
        assert len(self.ledger.rows) == 1, self.ledger.rows
        return self.ledger.rows[0][1]


async def text(gateway: Gateway, asked: CompletionRequest) -> str:
    answering = gateway.answer(asked)
    return "".join([e.text async for batch in answering for e in batch.events if isinstance(e, Text)])
