"""Start-up: `import codelab`, `codelab --help`, and the time until the service is ready."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.row import row
from tests.support.service import Service

RUNS = 7


def _timed(args: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(args, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000


def _import_ms() -> float:
    code = "import time; t = time.perf_counter(); import codelab; print((time.perf_counter() - t) * 1000)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def _ready_ms() -> float:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "workspace").mkdir()
        began = time.perf_counter()
        service = Service(folder / "workspace", folder / "data").start()
        taken = (time.perf_counter() - began) * 1000
        service.kill()
        return taken


async def measure() -> list[dict[str, Any]]:
    """Measure with warm file caches."""
    command = [sys.executable, "-m", "codelab.cli", "--help"]
    _timed(command)
    return [
        row("import codelab", [_import_ms() for _ in range(RUNS)], most=50),
        row("codelab --help", [_timed(command) for _ in range(RUNS)], most=400),
        row("server ready, warm", [_ready_ms() for _ in range(3)], most=5000),
    ]
