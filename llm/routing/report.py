"""Compares routing by cost with what else one could do: `python -m codelab.llm.routing.report`.

What it can show: that the estimate, fitted to two thirds of the shipped prompts, carries over to the last third, and
what that is worth at the catalogue's prices. What it cannot: the labels are one author's judgement, the skills are the
catalogue's, and no model is asked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

from ...core.settings_llm import LLMSettings, RoutingSettings
from ..catalog import Model
from ..catalog_load import load_catalogue
from ..usage import estimate_tokens
from .choice import cost_of, ranked_by_cost
from .labels import Labelled, load_labels
from .levels import needs_of, shortfall

_ANSWER: Final = 600
_NANO: Final = 1e9
_REQUESTS: Final = 1_000
_CERTAIN: Final = 1e6
"""The weight of a lack when nothing else is to count."""
_KEYS: Final = ("OPENAI", "ANTHROPIC", "GEMINI", "DEEPSEEK", "OPENROUTER", "MISTRAL", "XAI", "GROQ")
Pick = Callable[[Labelled], Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How one way of choosing does.

    Attributes:
        cost: Dollars for 1,000 of the prompts, 600 tokens of answer each.
        short: Part of the prompts whose model lacks something of what the label says.
        lack: How much is lacking, summed over the skills, on average.
    """

    name: str
    cost: float
    short: float
    lack: float


def every_model() -> list[Model]:
    """Return the built-in catalogue's models that have a profile, whoever's keys there are."""
    catalogue = load_catalogue(LLMSettings(), {f"{name}_API_KEY": "none" for name in _KEYS})
    return [model for model in catalogue.listed() if model.skills]


def compare(labels: Sequence[Labelled], pool: Sequence[Model], *, weight: float | None = None) -> list[Line]:
    """Compare routing with each single model that is not dominated, with chance, and with knowing the labels."""
    weight = RoutingSettings().shortfall_weight if weight is None else weight
    singles = [_measured(model.id, labels, lambda _, model=model: model) for model in pool]  # type: ignore[misc]
    best = min(singles, key=lambda line: (line.short, line.cost))
    return [
        _measured("routed", labels, lambda one: _first(pool, one, needs_of(one.text), weight)),
        Line(name=f"best single ({best.name})", cost=best.cost, short=best.short, lack=best.lack),
        Line(
            name="random",
            cost=fmean(line.cost for line in singles),
            short=fmean(line.short for line in singles),
            lack=fmean(line.lack for line in singles),
        ),
        _measured("if the labels were known", labels, lambda one: _first(pool, one, one.needs, _CERTAIN)),
        *_undominated(singles),
    ]


def _first(pool: Sequence[Model], one: Labelled, needs: tuple[float, float, float, float], weight: float) -> Model:
    return ranked_by_cost(pool, needs, _tokens(one), weight=weight)[0]


def _tokens(one: Labelled) -> tuple[int, int]:
    return estimate_tokens(one.text), _ANSWER


def _measured(name: str, labels: Sequence[Labelled], pick: Pick) -> Line:
    picked = [(one, pick(one)) for one in labels]
    lacks = [shortfall(model, one.needs) for one, model in picked]
    return Line(
        name=name,
        cost=fmean(cost_of(model, _tokens(one)) for one, model in picked) * _REQUESTS / _NANO,
        short=fmean(lack > 0 for lack in lacks),
        lack=fmean(lacks),
    )


def _undominated(lines: Sequence[Line]) -> Iterator[Line]:
    """Leave out a model if another is better in one respect and no worse in the other."""
    best = float("inf")
    for line in sorted(lines, key=lambda line: (line.cost, line.short)):
        if line.short < best:
            best = line.short
            yield line


def rendered(lines: Sequence[Line], *, prompts: int) -> str:
    """Render as text."""
    head = f"{prompts} prompts held out of tuning; cost of 1,000 such; short: the model lacks a skill by the label.\n"
    rows = [f"{line.name:<42} ${line.cost:>7.2f} {line.short:>8.1%} short  lack {line.lack:.3f}" for line in lines]
    return "\n".join([head, *rows, ""])


def main() -> None:
    """Print the comparison on the held-out third."""
    labels = [one for one in load_labels() if one.held_out]
    sys.stdout.write(rendered(compare(labels, every_model()), prompts=len(labels)))


if __name__ == "__main__":
    main()
