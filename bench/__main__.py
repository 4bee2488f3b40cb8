"""Run the benchmarks: `make bench`, or `make bench ARGS="turn --json"`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
from collections.abc import Awaitable, Callable
from typing import Any

from bench import agent_api, auth, first, llm_gateway, llm_soak, search, start, turn

BENCHES: dict[str, Callable[[], Awaitable[list[dict[str, Any]]]]] = {
    "agent": agent_api.measure,
    "turn": turn.measure,
    "first": first.measure,
    "start": start.measure,
    "search": search.measure,
    "llm": llm_gateway.measure,
    "soak": llm_soak.measure,
    "auth": auth.measure,
}


def render(rows: list[dict[str, Any]]) -> str:
    """Rows as a table."""
    head = ("what", "ours", "bare", "dev", "ratio", "budget", "held")
    cells = [[str(row.get(name, "")) for name in head] for row in rows]
    widths = [max(len(line[i]) for line in [list(head), *cells]) for i in range(len(head))]
    return "\n".join("  ".join(text.ljust(w) for text, w in zip(line, widths, strict=True)) for line in [head, *cells])


def main() -> None:
    """Parse the arguments and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which (default all): {', '.join(BENCHES)}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args()
    rows = [row for name in args.names or BENCHES for row in asyncio.run(BENCHES[name]())]
    machine = {"python": platform.python_version(), "cores": os.cpu_count()}
    print(json.dumps({"machine": machine, "rows": rows}) if args.json else f"{machine}\n\n{render(rows)}")


if __name__ == "__main__":
    main()
