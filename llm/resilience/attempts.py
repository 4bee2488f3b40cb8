"""Asks the candidates until one answers: failover before the commit point, never after it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NoReturn

from ...core.settings_llm import ResilienceSettings
from ..catalog import Model
from ..chat import CompletionRequest, Outcome
from ..errors import AllDown, Malformed, NoModel, TimedOut, UpstreamError
from ..events import Batch
from .budget import RetryBudget
from .commitment import commits
from .ladder import Ladder
from .lines import Call, Line, Lines
from .shed import Seats
from .turn import Turn
from .watch import Watch

_PAUSE_S: Final = 0.25
"""The longest pause before the first repetition; it doubles."""
_LONGEST_PAUSE_S: Final = 4.0
_SHED_RETRY_S: Final = 1.0
_NOTHING: Final = Batch(())
Ask = Callable[[Line], AsyncGenerator[Batch, None]]


class TooLate(TimedOut):
    """The deadline has passed, and the model had less time than it may take: that says nothing about it."""

    counts = False
    retryable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long is waited, and how often repeated.

    Attributes:
        timeout_s: Until a first byte, and between two.
        max_retries: Rounds of repetition after the first.
        sleep: Waits so many seconds.
    """

    settings: ResilienceSettings
    timeout_s: float = 120
    max_retries: int = 2
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


class Upstreams:
    """`seams.Attempts`: each candidate once, then everybody again after a pause, if the retry budget allows."""

    def __init__(self, lines: Lines, *, pace: Pace, random: Random | None = None) -> None:
        settings = pace.settings
        self.lines = lines
        self.seats = Seats(
            total=settings.max_calls,
            each=settings.max_calls_each,
            queue=settings.max_waiting,
            batch_share=settings.batch_share,
        )
        self._pace = pace
        self._random = random or Random()  # noqa: S311 - jitter
        self._ladder = Ladder(lines, random=self._random)
        self._watch = Watch()
        self._retries = RetryBudget(ratio=settings.retry_ratio, per_s=settings.retry_per_s, clock=pace.clock)

    @property
    def retries_left(self) -> int:
        """Repetitions that the budget has room for."""
        return self._retries.left

    def answer(
        self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome
    ) -> AsyncGenerator[Batch, None]:
        """Give one answer's batches (see `seams.Attempts`)."""

        def ask(line: Line) -> AsyncGenerator[Batch, None]:
            return line.adapter.answer(line.model, request, timeout_s=self._pace.timeout_s)

        return self._asked(ask, self._begin(request, candidates, outcome))

    async def embed(self, request: CompletionRequest, model: Model, outcome: Outcome) -> dict[str, Any]:
        """Have a model embed the request's `input`; nobody else takes over: vectors of two models do not mix.

        Raises what `answer` raises.
        """
        told: dict[str, Any] = {}

        async def ask(line: Line) -> AsyncGenerator[Batch, None]:
            told.update(await line.adapter.embed(line.model, request.body, timeout_s=self._pace.timeout_s))
            yield _NOTHING

        async for _ in self._asked(ask, self._begin(request, (model,), outcome)):
            pass
        return told

    async def _asked(self, ask: Ask, turn: Turn) -> AsyncGenerator[Batch, None]:
        """Ask one after another until one has answered."""
        streamed = turn.request.streamed
        while True:
            call = self._enter(turn) or await self._later(turn)
            turn.calls(call)
            stream = ask(call.line)
            try:
                batch: Batch | None = await self._first(turn, stream)
                call.begun(streamed=streamed)
                while batch is not None and streamed and not commits(batch):
                    yield turn.gives(batch)
                    batch = await anext(stream, None)
                turn.committed = True
                if batch is not None:
                    yield turn.gives(batch)
                async for batch in stream:
                    yield batch
                self._succeeded(turn, call)
            except UpstreamError as error:
                call.failed(error)
                turn.failed(call, error)
            else:
                return
            finally:
                call.close()
                self.seats.release(call.line.model.provider.name)
                await stream.aclose()

    def _begin(self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome) -> Turn:
        self._retries.earn()
        lines = self._ladder.order(request, candidates)
        if not lines:
            raise NoModel(f"The provider of {candidates[0].id!r} is not set up.")
        outcome.baseline = getattr(candidates, "baseline", "")
        settings = self._pace.settings
        within = request.controls.deadline_s or settings.deadline_s
        turn = Turn(request, outcome, lines, deadline=self._pace.clock() + within)
        turn.patience = settings.patience_s
        return turn

    async def _first(self, turn: Turn, stream: AsyncGenerator[Batch, None]) -> Batch:
        """Wait for the first batch, until the deadline."""
        left = self._left(turn)
        try:
            batch = await self._watch.bound(anext(stream, None), left)
        except TimeoutError as exc:
            fair = left >= self._pace.timeout_s
            raise (TimedOut if fair else TooLate)("The answer did not come in time.") from exc
        if batch is None:
            raise Malformed("The model's answer was empty.")
        return batch

    def _succeeded(self, turn: Turn, call: Call) -> None:
        call.succeeded(turn.outcome.usage.output_tokens)
        turn.outcome.tried.append(f"{call.line.name}: ok")
        if len(turn.lines) > 1:
            self._ladder.keep(turn.request, call.line)

    def _enter(self, turn: Turn) -> Call | None:
        """Begin a call to the first in the queue who has a seat and lets one through."""
        while turn.queue:
            line = turn.queue.pop(0)
            if not self.seats.take(line.model.provider.name, turn.request.caller.priority):
                turn.full.append(line)
            elif (call := self._call(turn, line)) is not None:
                return call
        return None

    def _call(self, turn: Turn, line: Line) -> Call | None:
        """Begin a call for which there is a seat, which is given up if none is made; a repetition costs a token."""
        call = line.enter()
        if call is not None and turn.was_asked(line) and not self._retries.spend():
            turn.barred = True
            call.close()
            call = None
        if call is None:
            self.seats.release(line.model.provider.name)
        return call

    async def _later(self, turn: Turn) -> Call:
        """Wait until somebody can be asked. Raises the last error, or `AllDown`, if that takes too long."""
        while True:
            if turn.full:
                call = await self._seat(turn)
            else:
                await self._pace.sleep(self._pause(turn))
                turn.next_round()
                call = self._enter(turn)
            if call is not None:
                return call

    async def _seat(self, turn: Turn) -> Call | None:
        """Wait in the queue for a seat at the best provider that was full, then call it."""
        line, turn.full = turn.full[0], []
        provider, within = line.model.provider.name, min(self._pace.settings.queue_s, self._left(turn))
        if await self.seats.wait(provider, turn.request.caller.priority, at_most_s=within):
            return self._call(turn, line)
        turn.outcome.degraded = "shed"
        raise turn.error or AllDown(
            "Too many requests are being answered; try again in a moment.", retry_after=_SHED_RETRY_S, code="shed"
        )

    def _pause(self, turn: Turn) -> float:
        """Reckon how long to wait before everybody is asked again: full jitter, and no sooner than one may be."""
        again = turn.eligible()
        if not again or turn.barred or (turn.error is not None and turn.rounds >= self._pace.max_retries):
            self._give_up(turn)
        soonest = min(line.wait_s for line in again)
        pause = soonest + self._random.uniform(0, min(_LONGEST_PAUSE_S, _PAUSE_S * 2.0 ** min(turn.rounds, 10)))
        if pause > turn.patience or pause >= self._left(turn):
            self._give_up(turn)
        turn.patience -= pause
        return pause

    def _left(self, turn: Turn) -> float:
        return turn.deadline - self._pace.clock()

    def _give_up(self, turn: Turn) -> NoReturn:
        if turn.error is not None:
            raise turn.error
        soonest = max(1.0, min(line.wait_s for line in turn.lines))
        raise AllDown(f"No model that could answer is in service; try again in {soonest:.0f} s.", retry_after=soonest)
