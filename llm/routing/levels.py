"""How much of each skill a text needs: weighted features, the weights as fitted by `fit.py`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Final, get_args

import orjson

from ..catalog import Model, Skill
from .features import NAMES, features

SKILLS: Final[tuple[Skill, ...]] = get_args(Skill)
Levels = tuple[float, float, float, float]
"""0 to 1 for each of `SKILLS`: what a model's profile should have at least."""
HIGHEST: Final = 0.95
"""What no request is thought to exceed: a model with more is bought by name, not by a guess."""


Weights = Sequence[Sequence[float]]
"""What each of `features.NAMES` says of each of `SKILLS`."""


@cache
def shipped_weights() -> Weights:
    """Read the weights that are shipped."""
    data = orjson.loads(files(__package__).joinpath("weights.json").read_bytes())
    return [data[name] for name in NAMES]


def needs_of(text: str, weights: Weights | None = None) -> Levels:
    """Estimate the needs of a text; default: by the shipped weights."""
    rows = shipped_weights() if weights is None else weights
    found = features(text)
    code, reasoning, knowledge, instructions = (
        min(HIGHEST, max(0.0, sum(value * row[skill] for value, row in zip(found, rows, strict=True))))
        for skill in range(len(SKILLS))
    )
    return code, reasoning, knowledge, instructions


def shortfall(model: Model, needs: Levels) -> float:
    """Sum what a model lacks."""
    skills = model.skills
    return sum(max(0.0, need - skills.get(skill, 0.0)) for skill, need in zip(SKILLS, needs, strict=True))
