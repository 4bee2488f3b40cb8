"""One measured figure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def row(
    what: str, ours: Sequence[float], bare: Sequence[float] = (), *, most: float, unit: str = "ms"
) -> dict[str, Any]:
    """Medians, their ratio, and whether the budget holds.

    Args:
        what: What was measured.
        ours: Our samples in `unit`.
        bare: The peer's samples, if there is one: then the budget is on the ratio.
        most: The budget: a ratio with a peer, `unit` without.
        unit: Of the samples.
    """
    mine = statistics.median(ours)
    ratio = mine / statistics.median(bare) if bare else None
    value = mine if ratio is None else ratio
    return {
        "what": what,
        "ours": f"{mine:.1f} {unit}",
        "bare": f"{statistics.median(bare):.1f} {unit}" if bare else "",
        "ratio": f"{ratio:.2f}" if ratio else "",
        "budget": f"≤ {most:g}" + (" ×" if ratio else f" {unit}"),
        "held": "yes" if value <= most else "NO",
        "samples": len(ours),
    }
