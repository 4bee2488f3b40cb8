"""The pipeline of a model's answer: cache, single flight, budget, attempts, the bill.

Every request ends in one row of the ledger, however it ends. Whoever asks upstream pays: an answer that others follow
is settled when it ends, not when the one who asked first has gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from functools import partial
from typing import Final

from ..core.errors import CodeLabError
from .catalog import Model
from .chat import CompletionRequest, Outcome
from .errors import AllDown, BudgetExceeded, NotCached, UpstreamError
from .events import Batch
from .resilience.standin import NAME, can_stand_in, stand_in
from .seams import Flight, Hit, Parts, Plan
from .tally import Tally
from .till import Till

_RENEWALS: Final = 64
"""Answers that are asked for anew behind a client's back, at most at once."""


class Answering:
    """An answer as it is made.

    Attributes:
        outcome: What became of the request, as far as it is known.
    """

    __slots__ = ("_batches", "_head", "outcome")

    def __init__(self, batches: AsyncGenerator[Batch, None], outcome: Outcome) -> None:
        self._batches = batches
        self._head: Batch | None = None
        self.outcome = outcome

    async def first(self) -> None:
        """Wait for the first batch: from then on it is known who answers. Raises what went wrong before it."""
        self._head = await anext(self._batches, None)

    async def __aiter__(self) -> AsyncIterator[Batch]:
        """Give the batches, the first one included."""
        if self._head is not None:
            head, self._head = self._head, None
            yield head
        async for batch in self._batches:
            yield batch

    async def close(self) -> None:
        """Let it go: the upstream is hung up on, what was used is paid."""
        await self._batches.aclose()


class Gateway:
    """One core for the agents' chat model and for the HTTP endpoint."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._till = Till(models=parts.models, budgets=parts.budgets, cost=parts.cost)
        self._renewing: set[asyncio.Task[None]] = set()

    def answer(self, request: CompletionRequest) -> Answering:
        """Begin an answer; nothing is asked before it is read. Close it, or read it to its end."""
        outcome = Outcome(request_id=request.id, began=self._parts.clock())
        return Answering(self._answer(request, outcome), outcome)

    async def close(self) -> None:
        """Stop what still runs behind the clients' backs."""
        for task in self._renewing:
            task.cancel()
        await asyncio.gather(*self._renewing, return_exceptions=True)

    async def _answer(self, request: CompletionRequest, outcome: Outcome) -> AsyncGenerator[Batch, None]:
        plan: Plan | None = None
        said = False
        try:
            candidates = self._parts.router.candidates(request)
            plan = self._parts.cache.plan(request, candidates[0])
            outcome.cache_key = plan.name if plan is not None else ""
            source = (
                self._paid(request, candidates, outcome, plan=None)
                if plan is None
                else self._cached(request, candidates, outcome, plan)
            )
            async with aclosing(source):
                async for batch in source:
                    said = True
                    yield batch
        except (UpstreamError, AllDown) as exc:
            instead = None if said else await self._instead(request, outcome, plan, exc)
            if instead is None:
                self._refused(request, outcome, exc.code)
                raise
            async for batch in instead:
                yield batch
        except CodeLabError as exc:
            self._refused(request, outcome, exc.code)
            raise
        except (GeneratorExit, asyncio.CancelledError):
            outcome.awaited = False
            if outcome.cache != "miss":  # an answer that others may follow is noted when it ends
                self._refused(request, outcome, "cancelled")
            raise

    async def _instead(
        self, request: CompletionRequest, outcome: Outcome, plan: Plan | None, error: UpstreamError | AllDown
    ) -> AsyncGenerator[Batch, None] | None:
        """Find what to say when no model answers: an old answer, or, where that is allowed, that there is none."""
        old = await self._parts.cache.find(plan, stale=True) if plan is not None else None
        if old is not None:
            outcome.degraded, outcome.error = "stale", ""
            return self._replayed(request, outcome, old)
        if self._parts.offline and can_stand_in(request, error):
            outcome.degraded, outcome.error, outcome.provider = "offline", "", NAME
            return self._replayed(request, outcome, stand_in(request))
        return None

    async def _cached(
        self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome, plan: Plan
    ) -> AsyncGenerator[Batch, None]:
        """Answer from the cache, along with somebody else, or by asking."""
        cache = self._parts.cache
        hit = await cache.find(plan) if plan.reads else None
        if hit is not None:
            if hit.renew:
                self._renew(request, candidates, plan)
            async for batch in self._replayed(request, outcome, hit):
                yield batch
            return
        if plan.only:
            raise NotCached("There is no stored answer to this request.")
        async for batch in self._together(request, candidates, outcome, plan):
            yield batch

    async def _together(
        self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome, plan: Plan
    ) -> AsyncGenerator[Batch, None]:
        """Follow an answer to the same request that is on its way; ask, if there is none."""
        flight = self._joined(request, candidates, outcome, plan)
        while not flight.leads:
            try:
                async for batch in self._followed(request, candidates[0], outcome, flight):
                    yield batch
            except BudgetExceeded:
                outcome.error = ""  # it was the other's purse that was empty
                flight = self._joined(request, candidates, outcome, plan)
            else:
                return
        outcome.cache = "miss"
        async for batch in flight.batches():
            yield batch

    def _joined(self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome, plan: Plan) -> Flight:
        ask = partial(self._paid, request, candidates, outcome, plan=plan)
        return self._parts.cache.join(plan, ask, outcome)

    async def _followed(
        self, request: CompletionRequest, model: Model, outcome: Outcome, flight: Flight
    ) -> AsyncGenerator[Batch, None]:
        """Read along with the one who asked; it costs nothing."""
        lead = flight.outcome

        def see() -> None:
            outcome.degraded = lead.degraded
            outcome.model, outcome.provider = lead.model or model.id, lead.provider or model.provider.name

        def saved() -> None:
            see()
            price = self._parts.models.get(outcome.model, model).price
            outcome.saved = self._parts.cost(price, outcome.usage)

        outcome.cache = "shared"
        with self._accounted(request, outcome, saved) as tally:
            async for batch in flight.batches():
                if outcome.first is None:
                    see()
                self._first(outcome)
                tally.see(batch)
                yield batch

    async def _replayed(self, request: CompletionRequest, outcome: Outcome, hit: Hit) -> AsyncGenerator[Batch, None]:
        """Say a stored answer again, in the pieces it came in; as one piece where no stream is wanted."""
        outcome.cache, outcome.saved, outcome.model = hit.outcome, hit.cost, hit.model
        if (model := self._parts.models.get(hit.model)) is not None:
            outcome.provider = model.provider.name
        pieces = hit.batches if request.streamed else [[event for events in hit.batches for event in events]]
        rate = request.controls.replay_rate if request.streamed else None
        tally = Tally(request, outcome)
        try:
            for events in pieces:
                self._first(outcome)
                batch = Batch(events)
                tally.see(batch)
                yield batch
                if rate:
                    await asyncio.sleep(len(events) / rate)
        finally:
            self._note(request, outcome)

    async def _paid(
        self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome, *, plan: Plan | None
    ) -> AsyncGenerator[Batch, None]:
        """Ask, within the caller's budgets; keep what may be kept; pay for what was used."""
        parts = self._parts
        try:
            candidates, reservation = await self._till.reserve(request, candidates, outcome)
        except (CodeLabError, asyncio.CancelledError) as exc:
            if not outcome.awaited:
                self._refused(request, outcome, getattr(exc, "code", "cancelled"))
            raise
        kept: list[Batch] = []
        with self._accounted(request, outcome, lambda: self._till.settle(outcome, reservation)) as tally:
            async with aclosing(parts.attempts.answer(request, candidates, outcome)) as batches:
                async for batch in batches:
                    self._first(outcome)
                    tally.see(batch)
                    if plan is not None:
                        kept.append(batch)
                    yield batch
        if plan is not None:
            parts.cache.keep(plan, kept, outcome)

    @contextmanager
    def _accounted(self, request: CompletionRequest, outcome: Outcome, settle: Callable[[], None]) -> Iterator[Tally]:
        """Count what passes; at the end settle, and write the row.

        What failed before its first word leaves no row: whoever hears of it may still find another answer.
        """
        tally, whole = Tally(request, outcome), False
        try:
            yield tally
            whole = True
        except CodeLabError as exc:
            outcome.error = exc.code
            raise
        finally:
            failed = bool(outcome.error)
            if not (whole or failed):
                outcome.error = "cancelled"
            tally.close()
            settle()
            if not failed or outcome.first is not None or not outcome.awaited:
                self._note(request, outcome)

    def _first(self, outcome: Outcome) -> None:
        if outcome.first is None:
            outcome.first = self._parts.clock()

    def _note(self, request: CompletionRequest, outcome: Outcome) -> None:
        outcome.ended = self._parts.clock()
        self._parts.ledger.add(request, outcome)

    def _refused(self, request: CompletionRequest, outcome: Outcome, error: str) -> None:
        """Note a request that was not answered, unless whoever paid for it did."""
        if outcome.ended is None:
            outcome.error = error
            self._note(request, outcome)

    def _renew(self, request: CompletionRequest, candidates: Sequence[Model], plan: Plan) -> None:
        """Ask anew for an answer that has grown old, for the next client."""
        if len(self._renewing) >= _RENEWALS:
            return
        task = asyncio.create_task(self._asked_again(request, candidates, plan))
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)

    async def _asked_again(self, request: CompletionRequest, candidates: Sequence[Model], plan: Plan) -> None:
        outcome = Outcome(request_id=request.id, began=self._parts.clock(), cache="miss")
        flight = self._joined(request, candidates, outcome, plan)
        try:
            async for _ in flight.batches():
                pass
        except CodeLabError:
            return  # the old answer stands; the ledger and the breaker know
