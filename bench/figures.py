"""A measured figure, side by side with a peer's, and the budget it is held to."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Budget:
    """At least or at most so much, of our own figure or of its ratio to bare LangGraph's."""

    least: float | None = None
    most: float | None = None
    ratio: bool = False

    def held(self, value: float) -> bool:
        """Whether a value is within."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)

    def __str__(self) -> str:
        """Write it as the table shows it."""
        sign, limit = ("≥", self.least) if self.least is not None else ("≤", self.most)
        return f"{sign} {limit:g}" + (" ×" if self.ratio else "")


@dataclass
class Figure:
    """Samples of one figure, side by side."""

    what: str
    unit: str
    digits: int = 1
    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    dev: list[float] = field(default_factory=list)

    def row(self, budget: Budget | None) -> dict[str, Any]:
        """Medians, their ratio, and whether the budget holds."""
        mine = _median(self.ours)
        beside = _median(self.bare)
        ratio = mine / beside if mine and beside else None
        judged = ratio if budget and budget.ratio else mine
        held = "" if budget is None or judged is None else ("yes" if budget.held(judged) else "NO")
        shown = {name: self._shown(getattr(self, name)) for name in ("ours", "bare", "dev")}
        told = {"ratio": f"{ratio:.2f}" if ratio else "", "budget": str(budget or ""), "held": held}
        return {"what": self.what, **shown, **told, "samples": len(self.ours)}

    def _shown(self, samples: list[float]) -> str:
        return f"{_median(samples):,.{self.digits}f} {self.unit}".replace(",", " ") if samples else ""


def _median(samples: list[float]) -> float | None:
    return statistics.median(samples) if samples else None
