"""Lines to models: each with its breakers and its health; and the calls that are made on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from random import Random
from typing import Final

from ..catalog import Model, Provider
from ..errors import ConnectFailed, Refused, TimedOut, UpstreamError
from ..seams import Adapter
from .breaker import REFUSED, Breaker, Rules
from .health import Health

_SLOW: Final = 3
"""How many times the usual a first token may take before the call counts as failed."""
_MOST_LINES: Final = 4_096


@dataclass(slots=True)
class Trouble:
    """The last thing that went wrong on a line: its code, and when, on the clock's scale."""

    code: str
    at: float


class Line:
    """A model as one provider serves it.

    Attributes:
        breaker: Of the model there.
        endpoint: Of the provider's address and key, which other models share: whether it can be reached at all.
    """

    __slots__ = ("_clock", "_slow_s", "adapter", "breaker", "endpoint", "health", "model", "name", "trouble")

    def __init__(
        self,
        model: Model,
        adapter: Adapter,
        breakers: tuple[Breaker, Breaker],
        *,
        clock: Callable[[], float],
        slow_s: float,
    ) -> None:
        self.model = model
        self.name = model.name
        self.adapter = adapter
        self.breaker, self.endpoint = breakers
        self.health = Health(clock=clock)
        self.trouble: Trouble | None = None
        self._clock = clock
        self._slow_s = slow_s

    @property
    def wait_s(self) -> float:
        """Seconds until somebody may call."""
        return max(self.breaker.wait_s, self.endpoint.wait_s)

    @property
    def well(self) -> bool:
        """Whether it is in service without reserve."""
        return self.breaker.state == self.endpoint.state == "closed"

    def since(self, trouble: Trouble) -> float:
        """Seconds since something went wrong."""
        return self._clock() - trouble.at

    def enter(self) -> Call | None:
        """Begin a call, if both breakers let it through."""
        shared = self.endpoint.enter()
        if shared == REFUSED:
            return None
        own = self.breaker.enter()
        if own == REFUSED:
            self.endpoint.dropped(shared)
            return None
        return Call(self, own, shared, self._clock)

    def is_slow(self, seconds: float) -> bool:
        """Whether a first token after so long counts as a failure."""
        if self._slow_s:
            return seconds > self._slow_s
        usual = self.health.usual_first_token_s
        return usual is not None and seconds > _SLOW * usual


class Call:
    """One call on a line, from its admission to `close`; between them it has at most one end."""

    __slots__ = ("_began", "_clock", "_first", "_open", "_own", "_shared", "_slow", "line")

    def __init__(self, line: Line, own: int, shared: int, clock: Callable[[], float]) -> None:
        self.line = line
        self._own = own
        self._shared = shared
        self._clock = clock
        self._began = self._first = clock()
        self._slow = False
        self._open = True
        line.health.in_flight += 1

    def begun(self, *, streamed: bool) -> None:
        """The first batch is here; only a stream's tells how quick the model is."""
        line, self._first = self.line, self._clock()
        if streamed:
            took = self._first - self._began
            self._slow = line.is_slow(took)
            line.health.began(took)
        self._own = line.breaker.begun(self._own, slow=self._slow)
        self._shared = line.endpoint.begun(self._shared)

    def succeeded(self, tokens: int) -> None:
        """The answer is whole; it had so many tokens."""
        self._open = False
        line = self.line
        line.breaker.succeeded(self._own, slow=self._slow)
        line.endpoint.succeeded(self._shared)
        line.health.ended(failed=False, tokens=tokens, seconds=self._clock() - self._first)

    def failed(self, error: UpstreamError) -> None:
        """The call has failed; a fault of the request or of our key says nothing about the model."""
        self._open = False
        line, connect = self.line, isinstance(error, ConnectFailed)
        line.trouble = Trouble(error.code, self._clock())
        if error.counts:
            line.breaker.failed(self._own, connect=connect, retry_after=error.retry_after)
        else:
            line.breaker.dropped(self._own)
        if error.counts or isinstance(error, Refused):  # among peers, one whose key is refused comes last
            line.health.ended(failed=True)
        if connect:
            line.endpoint.failed(self._shared, connect=True)
        elif isinstance(error, TimedOut):
            line.endpoint.dropped(self._shared)
        else:
            line.endpoint.succeeded(self._shared)

    def close(self) -> None:
        """Let go; a call without an end was given up by the client, which says nothing about the model."""
        self.line.health.in_flight -= 1
        if self._open:
            self._open = False
            self.line.breaker.dropped(self._own)
            self.line.endpoint.dropped(self._shared)


class Lines:
    """All lines, made when they are first asked for; a row of a new catalogue keeps its breakers and its health.

    Args:
        adapters: By the provider's name.
        rules: Of the breakers.
        slow_s: A first token later than this counts as a failure; 0: three times the usual.
    """

    def __init__(
        self,
        adapters: Mapping[str, Adapter],
        *,
        rules: Rules,
        slow_s: float = 0,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
    ) -> None:
        self._adapters = adapters
        self._rules = rules
        self._slow_s = slow_s
        self._clock = clock
        self._random = random or Random()  # noqa: S311 - jitter
        self._lines: dict[tuple[str, str, str], Line] = {}
        self._endpoints: dict[tuple[str, str, str], Breaker] = {}
        self._by_row: dict[int, Line] = {}

    def of(self, model: Model) -> Line:
        """Return the line to a model; `KeyError` if its provider has no adapter."""
        line = self._by_row.get(id(model))
        if line is None or line.model is not model:
            line = self._renewed(model)
        return line

    def known(self, models: Iterable[Model]) -> list[Line]:
        """Return the lines to models whose provider has an adapter."""
        return [self.of(model) for model in models if model.provider.name in self._adapters]

    def _renewed(self, model: Model) -> Line:
        """Find the line that an earlier row of the same name had, or open one."""
        endpoint = _endpoint_of(model.provider)
        key = (*endpoint[1:], model.name)
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= _MOST_LINES:
                self._lines.clear()
            breakers = self._breaker(), self._endpoints.setdefault(endpoint, self._breaker())
            line = Line(model, self._adapters[model.provider.name], breakers, clock=self._clock, slow_s=self._slow_s)
            self._lines[key] = line
        else:
            line.model, line.adapter = model, self._adapters[model.provider.name]
        if len(self._by_row) >= _MOST_LINES:
            self._by_row.clear()
        self._by_row[id(model)] = line
        return line

    def _breaker(self) -> Breaker:
        return Breaker(self._rules, clock=self._clock, random=self._random)


def _endpoint_of(provider: Provider) -> tuple[str, str, str]:
    """Tell endpoints apart, by a digest of the key: the key itself is kept nowhere else."""
    secret = provider.key.get_secret_value() if provider.key is not None else ""
    return provider.name, provider.base_url, blake2b(secret.encode(), digest_size=8).hexdigest()
