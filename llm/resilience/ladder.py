"""Who is asked, in which order: peers of the model first, the quicker one at the head, then what stands in for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from random import Random
from typing import Final

from ..catalog import Model, Price
from ..chat import CompletionRequest, Degraded
from .lines import Line, Lines

_SESSIONS: Final = 10_000
_CURIOUS: Final = 0.05
"""How often a peer is taken unseen: whoever is never asked has no chance to have become better."""
_CLEARLY: Final = 0.8
"""Of two that are nearly as good as each other, either will do: else all would crowd around one."""
_UNPRICED: Final = 0.5
"""What a warm prompt cache is worth where tokens cost nothing: time only."""


class Ladder:
    """Orders the candidates; remembers which peer a session's prompt cache is warm at."""

    def __init__(self, lines: Lines, *, random: Random) -> None:
        self._lines = lines
        self._random = random
        self._sessions: OrderedDict[str, str] = OrderedDict()

    def order(self, request: CompletionRequest, candidates: Sequence[Model]) -> list[Line]:
        """Return the lines to ask, best first; models of the same upstream name are peers."""
        if not request.controls.fallback:
            candidates = candidates[:1]
        lines = self._lines.known(candidates)
        if len(lines) < 2:  # noqa: PLR2004 - nothing to order
            return lines
        tiers: dict[str, list[Line]] = {}
        for line in lines:
            tiers.setdefault(line.model.upstream, []).append(line)
        session = session_of(request)
        return [line for tier in tiers.values() for line in self._ranked(tier, session)]

    def keep(self, request: CompletionRequest, line: Line) -> None:
        """Remember who answered a session."""
        session = session_of(request)
        if session:
            self._sessions[session] = line.name
            self._sessions.move_to_end(session)
            if len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)

    def _ranked(self, tier: list[Line], session: str) -> list[Line]:
        """Put the better of two drawn at random first, or the session's own; those out of service last."""
        if len(tier) == 1:
            return tier
        well = [line for line in tier if line.well]
        curious = self._random.random() < _CURIOUS
        drawn = self._random.sample(well, min(1 if curious else 2, len(well)))
        first = drawn[0] if drawn else None
        if len(drawn) > 1 and drawn[1].health.score() < _CLEARLY * drawn[0].health.score():
            first = drawn[1]
        kept = next((line for line in well if line.name == self._sessions.get(session)), None)
        if first is not None and kept is not None and _warm_score(kept) <= first.health.score():
            first = kept
        rest = sorted((line for line in tier if line is not first), key=_last_resort)
        return rest if first is None else [first, *rest]


def session_of(request: CompletionRequest) -> str:
    """Name what a provider's prompt cache is kept warm for; empty if nothing."""
    caller = request.caller
    session = caller.session or caller.thread_id
    return f"{caller.tenant_id}/{session}" if session else ""


def degradation(asked: Model, answering: Model, *, failed: bool) -> Degraded | None:
    """Say how an answer falls short of what was asked for; `failed`: somebody else was asked before."""
    if answering.upstream == asked.upstream:
        return "failover" if failed else None
    return "cheaper" if _price(answering.price) < _price(asked.price) else "failover"


def _price(price: Price) -> int:
    return price.input + price.output


def _warm_score(line: Line) -> float:
    """Score a line whose prompt cache is warm: the discount on cached tokens is time and money saved."""
    price = line.model.price
    saved = _UNPRICED if not price.input else 1 - (price.input if price.cached is None else price.cached) / price.input
    return line.health.score() * (1 - min(max(saved, 0.0), 0.95))


def _last_resort(line: Line) -> tuple[float, float]:
    return line.wait_s, line.health.score()
