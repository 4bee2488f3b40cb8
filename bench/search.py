"""`search_files` over ten thousand files."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from bench.row import row
from codelab.tools.workspaces.local import LocalWorkspace

FILES = 10_000
RUNS = 5


def _tree(root: Path) -> None:
    for number in range(FILES):
        folder = root / f"pkg{number // 100:03d}"
        folder.mkdir(exist_ok=True)
        lines = [f"def function_{number}_{i}(value):\n    return value + {i}\n" for i in range(20)]
        (folder / f"module_{number}.py").write_text("\n".join(lines), "utf-8")


async def measure() -> list[dict[str, Any]]:
    """Search for something rare with a regular expression."""
    with tempfile.TemporaryDirectory() as name:
        _tree(Path(name))
        workspace = LocalWorkspace(Path(name), id="bench")
        taken: list[float] = []
        for _ in range(RUNS):
            began = time.perf_counter()
            hits, _left = await workspace.search(r"function_77\d7_1\(", path=".", glob=None, regex=True, limit=300)
            taken.append((time.perf_counter() - began) * 1000)
            assert len(hits) == 10, len(hits)
        return [row(f"search over {FILES} files", taken, most=1000)]
