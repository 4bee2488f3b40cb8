"""The cheapest model that is good enough."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Final

from ...core.settings_llm import RoutingSettings
from ..catalog import Model
from ..chat import CompletionRequest
from ..usage import CHARS_PER_TOKEN
from .features import spoken
from .levels import Levels, needs_of, shortfall

_USUAL_ANSWER: Final = 600
"""Tokens."""
_GOOD_ENOUGH: Final = 0.01


class Choice:
    """Ranks models by what they cost and what they lack.

    Args:
        settings: Floors per agent, what a lack weighs, how often to explore.
        random: Draws the explorers.
        needs: Estimates what a text needs; default: the shipped weights.
    """

    def __init__(self, settings: RoutingSettings, *, random: Random, needs: Callable[[str], Levels] = needs_of) -> None:
        self._settings = settings
        self._random = random
        self._needs = needs

    def rank(self, request: CompletionRequest, pool: Sequence[Model], *, chars: int) -> list[Model]:
        """Order the models, the best choice first; `chars` are the request's."""
        needs = self.needs(request)
        ranked = ranked_by_cost(pool, needs, _tokens(request.body, chars), weight=self._settings.shortfall_weight)
        if self._random.random() < self._settings.exploration:
            self._explore(ranked, needs)
        return ranked

    def needs(self, request: CompletionRequest) -> Levels:
        """Estimate what the request needs; no skill less than the agent's floor."""
        floor = self._settings.floors.get(request.caller.agent, 0.0)
        code, reasoning, knowledge, instructions = self._needs(spoken(request.body))
        return max(code, floor), max(reasoning, floor), max(knowledge, floor), max(instructions, floor)

    def _explore(self, ranked: list[Model], needs: Levels) -> None:
        """Put another model that would do at the head."""
        others = [model for model in ranked[1:] if shortfall(model, needs) <= _GOOD_ENOUGH]
        if others:
            chosen = self._random.choice(others)
            ranked.remove(chosen)
            ranked.insert(0, chosen)


def ranked_by_cost(pool: Sequence[Model], needs: Levels, tokens: tuple[int, int], *, weight: float) -> list[Model]:
    """Order models by cost, the dearest's being 1, plus `weight` times what they lack."""
    costs = {model.id: cost_of(model, tokens) for model in pool}
    dearest = max(costs.values()) or 1
    return sorted(pool, key=lambda model: (costs[model.id] / dearest + weight * shortfall(model, needs), model.id))


def cost_of(model: Model, tokens: tuple[int, int]) -> float:
    """Reckon what so many tokens in and out cost, in nano-dollars."""
    return (tokens[0] * model.price.input + tokens[1] * model.price.output) / 1e6


def _tokens(body: dict[str, Any], chars: int) -> tuple[int, int]:
    most = body.get("max_completion_tokens") or body.get("max_tokens") or _USUAL_ANSWER
    return round(chars / CHARS_PER_TOKEN), min(most, _USUAL_ANSWER)
