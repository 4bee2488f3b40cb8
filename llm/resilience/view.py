"""What there is to see of the providers: names, states and reasons; never a key or an address."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..catalog import Model
from .attempts import Upstreams
from .breaker import Breaker, State
from .lines import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelState:
    """How one model of a provider is doing.

    Attributes:
        state: `open`: nobody asks it; `half_open`: one request may try it.
        retry_in_s: While open: seconds until it is tried again.
        last_error: The code of the last failure, and how long ago it was.
        first_token_s: Moving averages, which go back to what is usual where nothing is heard.
    """

    id: str
    state: State
    retry_in_s: float
    opened: int
    last_error: str | None
    last_error_s_ago: float | None
    in_flight: int
    first_token_s: float
    tokens_per_s: float
    error_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderState:
    """How a provider is doing.

    Attributes:
        state: Whether its address can be reached with our key; each model has a state of its own.
    """

    name: str
    state: State
    retry_in_s: float
    in_flight: int
    models: list[ModelState]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All providers, and how crowded it is.

    Attributes:
        waiting: Requests that wait for a seat.
        shed: Requests that were sent away since the start, because there was none.
        retries_left: Repetitions that the budget has room for at this moment.
    """

    providers: list[ProviderState]
    in_flight: int
    waiting: int
    shed: int
    retries_left: int


def overview(upstreams: Upstreams, models: Iterable[Model]) -> Overview:
    """Look at the lines to these models."""
    by_provider: dict[str, list[Line]] = {}
    for line in upstreams.lines.known(models):
        by_provider.setdefault(line.model.provider.name, []).append(line)
    return Overview(
        providers=[_provider(name, lines) for name, lines in by_provider.items()],
        in_flight=upstreams.seats.taken,
        waiting=upstreams.seats.waiting,
        shed=upstreams.seats.shed,
        retries_left=upstreams.retries_left,
    )


def _provider(name: str, lines: list[Line]) -> ProviderState:
    endpoint = lines[0].endpoint
    return ProviderState(
        name=name,
        state=endpoint.state,
        retry_in_s=_wait(endpoint),
        in_flight=sum(line.health.in_flight for line in lines),
        models=[_model(line) for line in lines],
    )


def _model(line: Line) -> ModelState:
    health, trouble = line.health, line.trouble
    return ModelState(
        id=line.model.id,
        state=line.breaker.state,
        retry_in_s=_wait(line.breaker),
        opened=line.breaker.opens,
        last_error=trouble.code if trouble else None,
        last_error_s_ago=round(line.since(trouble), 1) if trouble else None,
        in_flight=health.in_flight,
        first_token_s=round(health.first_token_s, 3),
        tokens_per_s=round(health.tokens_per_s, 1),
        error_ratio=round(health.error_ratio, 3),
    )


def _wait(breaker: Breaker) -> float:
    return round(breaker.wait_s, 1)
