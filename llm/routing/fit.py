"""Fits the weights to the labelled prompts that are not held out: `python -m codelab.llm.routing.fit` writes them.

A need that is underestimated costs a bad answer, one that is overestimated some money: so the 95th percentile of the
need is fitted (pinball loss, a ridge, iterated least squares), not its mean. Only a developer of the routing runs this.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

from .features import NAMES, features
from .labels import Labelled, load_labels

_QUANTILE: Final = 0.95
_RIDGE: Final = 0.2
_ROUNDS: Final = 40
_KINK: Final = 0.02
"""Residuals smaller than this are not told apart: the loss is smooth there."""
Array = npt.NDArray[Any]


def fit(labels: list[Labelled]) -> dict[str, list[float]]:
    """Return each feature's weight for each skill."""
    seen = np.array([features(one.text) for one in labels])
    wanted = np.array([one.needs for one in labels])
    weights = np.stack([_fitted(seen, wanted[:, skill]) for skill in range(wanted.shape[1])], axis=1)
    return {name: [round(float(weight), 4) for weight in row] for name, row in zip(NAMES, weights, strict=True)}


def _fitted(seen: Array, wanted: Array) -> Array:
    ridge = _RIDGE * np.eye(seen.shape[1])
    ridge[0, 0] = 0  # the constant is free
    found: Array = np.linalg.solve(seen.T @ seen + ridge, seen.T @ wanted)
    for _ in range(_ROUNDS):
        missed = wanted - seen @ found
        pull = np.where(missed > 0, _QUANTILE, 1 - _QUANTILE) / np.maximum(np.abs(missed), _KINK)
        pulled = seen * (pull / pull.mean())[:, None]
        found = np.linalg.solve(pulled.T @ seen + ridge, pulled.T @ wanted)
    return found


def main() -> None:
    """Write `weights.json` beside this file."""
    weights = fit([one for one in load_labels() if not one.held_out])
    path = Path(__file__).with_name("weights.json")
    path.write_bytes(orjson.dumps(weights, option=orjson.OPT_INDENT_2) + b"\n")
    sys.stdout.write(f"{path.name}: {len(weights)} features\n")


if __name__ == "__main__":
    main()
