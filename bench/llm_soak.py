"""100 000 requests through the model gateway, after a warm-up of 20 000: its memory must not grow."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from bench.folders import work_folder
from bench.llm_gateway import Target, load, ours, rss_mib

STEP: Final = 5_000
WARM: Final = 20_000
COUNT: Final = 20_000 if os.environ.get("BENCH_QUICK") else 100_000
LIMIT_MIB: Final = 1.0
"""Growth for 100 000 requests."""


async def measure() -> list[dict[str, Any]]:
    """Ask in steps, whole and streamed answers in turn, each step's prompt another; fit a line to the memory."""
    async with work_folder() as folder:
        with ours(folder) as target:
            for step in range(WARM // STEP):
                _step(target, -step)
            held = [(0, rss_mib(target.pid))]
            for step in range(COUNT // STEP):
                _step(target, step)
                held.append(((step + 1) * STEP, rss_mib(target.pid)))
    slope = _slope(held) * 100_000
    return [
        {
            "what": f"memory for 100 000 requests more, over {COUNT} after {WARM}",
            "ours": f"{slope:.2f} MiB (from {held[0][1]:.1f} to {held[-1][1]:.1f})",
            "budget": f"≤ {LIMIT_MIB:g} MiB",
            "held": "yes" if slope <= LIMIT_MIB else "NO",
            "samples": len(held),
        }
    ]


def _step(target: Target, number: int) -> None:
    body = {"temperature": 0, "seed": number} if number % 4 == 3 else {"seed": number}
    load(target, connections=32, count=STEP, stream=number % 2 == 1, body=body)
    sys.stderr.write(f"{number * STEP:>8} {rss_mib(target.pid):.1f} MiB\n")


def _slope(points: list[tuple[int, float]]) -> float:
    """Least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    across = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / across
