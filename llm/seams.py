"""What the gateway is made of: each part behind a protocol of a few methods."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .catalog import Model, Price
from .chat import CacheOutcome, Caller, CompletionRequest, Outcome
from .events import Batch, Event
from .usage import Usage


class Adapter(Protocol):
    """Speaks one provider's API.

    Errors are those of `llm.errors.UpstreamError`; a cancelled call closes its connection at once.
    """

    def answer(self, model: Model, request: CompletionRequest, *, timeout_s: float) -> AsyncGenerator[Batch, None]:
        """Ask `model`; yield batches as they come, or one batch if the request is not streamed.

        Args:
            model: Whose `upstream` name is sent.
            request: The client's.
            timeout_s: Until the first byte, and between two of them.
        """
        ...

    async def embed(self, model: Model, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Embed: OpenAI's request in (`input` as strings or token arrays), its response out, vectors as floats."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class Router(Protocol):
    """Chooses models."""

    def candidates(self, request: CompletionRequest) -> Sequence[Model]:
        """The models that may answer, the one to be asked first at the head.

        Raises:
            NoModel: The name says nothing, or no model can do what the request wants.
        """
        ...


class Attempts(Protocol):
    """Asks the candidates until one answers: breakers, retries, failover, health."""

    def answer(
        self, request: CompletionRequest, candidates: Sequence[Model], outcome: Outcome
    ) -> AsyncGenerator[Batch, None]:
        """Yield one answer's batches; notes in `outcome` who answered, how often was tried, and whether it is degraded.

        Raises:
            UpstreamError: The last one, when all have failed, or when the answer broke off after its commit point.
            AllDown: Nobody could be asked.
        """
        ...

    async def embed(self, request: CompletionRequest, model: Model, outcome: Outcome) -> dict[str, Any]:
        """Have `model` embed the request's `input`; OpenAI's response. Raises what `answer` raises."""
        ...


class Reservation(Protocol):
    """Room in every budget that a request counts against."""

    def settle(self, cost: int) -> None:
        """Replace what was reserved by what it cost, in nano-dollars; once, whatever happened."""
        ...


class Budgets(Protocol):
    """Who may still spend."""

    async def reserve(self, caller: Caller, most: int) -> Reservation:
        """Reserve at most `most` nano-dollars.

        Raises:
            BudgetExceeded: One of the caller's budgets has no room.
        """
        ...


class Ledger(Protocol):
    """What was used and what it cost."""

    def add(self, request: CompletionRequest, outcome: Outcome) -> None:
        """Note one request; it is written soon, in a batch."""
        ...


class Plan(Protocol):
    """What one request may read from the cache and write to it."""

    @property
    def name(self) -> str:
        """What its answer is stored under, as text: to be told, and to be forgotten by."""
        ...

    @property
    def reads(self) -> bool:
        """Whether a stored answer will do (`refresh` asks anew)."""
        ...

    @property
    def only(self) -> bool:
        """Whether nobody is to be asked if there is none."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A stored answer.

    Attributes:
        batches: All its events, with the boundaries they were streamed in.
        outcome: `hit`, `semantic` or `stale`.
        model: Which model gave it.
        cost: What asking would have cost, in nano-dollars.
        renew: Whether it is old enough to be asked for anew behind the client's back.
    """

    batches: Sequence[Sequence[Event]]
    outcome: CacheOutcome
    model: str
    cost: int = 0
    renew: bool = False


class Flight(Protocol):
    """One upstream answer that several requests for the same may follow."""

    @property
    def leads(self) -> bool:
        """Whether this request is the one that asked."""
        ...

    @property
    def outcome(self) -> Outcome:
        """What becomes of the request that asked: who answers, and how that falls short of what was wanted."""
        ...

    def batches(self) -> AsyncIterator[Batch]:
        """Give all batches from the first one; errors are raised to everybody; the last to leave hangs up."""
        ...


class Cache(Protocol):
    """Answers that were given before."""

    def plan(self, request: CompletionRequest, model: Model) -> Plan | None:
        """Tell what may be cached of a request; None if nothing."""
        ...

    async def find(self, plan: Plan, *, stale: bool = False) -> Hit | None:
        """Look an answer up; `stale` takes one that is too old (nobody else can answer)."""
        ...

    def join(self, plan: Plan, ask: Callable[[], AsyncGenerator[Batch, None]], outcome: Outcome) -> Flight:
        """Follow the answer that is on its way, or `ask` for it: then `outcome` is what followers are told of it."""
        ...

    def keep(self, plan: Plan, batches: Sequence[Batch], outcome: Outcome) -> None:
        """Store a finished answer, soon; one that did not end well is not kept."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a gateway is made of.

    Attributes:
        models: The catalogue's rows by id.
        cost: What a usage costs at a price, in nano-dollars.
        offline: Whether a text that no model made may answer when none can.
        clock: Seconds, monotonic.
    """

    models: Mapping[str, Model]
    router: Router
    attempts: Attempts
    cache: Cache
    budgets: Budgets
    ledger: Ledger
    cost: Callable[[Price, Usage], int]
    offline: bool = False
    clock: Callable[[], float] = time.monotonic
