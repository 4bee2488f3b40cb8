"""Run the integration suite of the langgraph-sdk source distribution against a server: `make conformance`.

Its code is downloaded into `.conformance`, never committed. Ours must pass every test and skip none, several times in a
row: on SQLite, then on PostgreSQL with Redis and two workers behind a server that executes nothing itself.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from tests.conformance import suite
from tests.conformance.hosts import Host, Place, clean_environment, elsewhere, host_of, is_free
from tests.support.processes import free_port

PORT: Final = 2024
"""A part of the suite knows no other; where it is taken, the plugin `other_port` tells it."""
OURS: Final = ("sqlite", "postgres")
_SECONDS: Final = 600


@dataclass(frozen=True)
class Round:
    """One run of the suite."""

    target: str
    passed: int
    failed: tuple[str, ...]
    skipped: int
    seconds: float

    def good(self, wanted: int | None) -> bool:
        """Whether everything passed and nothing was left out; `wanted` is None for a part of the suite."""
        return not self.failed and not self.skipped and (self.passed > 0 if wanted is None else self.passed == wanted)


def one_round(target: str, host: Host, chosen: str | None) -> Round:
    """Run the suite once, its words on our standard output."""
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        argv = [str(suite.environment() / "python"), "-m", "pytest", "tests/integration", "-m", "integration"]
        argv += [
            "-q",
            "--no-header",
            "--timeout=60",
            "-p",
            "no:cacheprovider",
            "-o",
            "addopts=--strict-markers",
            "-p",
            "other_port",
        ]
        argv += [f"--junitxml={report.name}", *(("-k", chosen) if chosen else ())]
        began = time.monotonic()
        environment = clean_environment(LANGGRAPH_INTEGRATION_URL=host.url, PYTHONPATH=str(Path(__file__).parent))
        done = subprocess.run(argv, cwd=suite.SDIST, env=environment, check=False, timeout=_SECONDS)
        seconds = time.monotonic() - began
        if not Path(report.name).stat().st_size:
            raise suite.UnpreparedError(f"pytest ended with {done.returncode} and no report")
        return _read(target, Path(report.name), seconds)


def _read(target: str, report: Path, seconds: float) -> Round:
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest wrote it just now
    failed = [c for c in cases if c.find("failure") is not None or c.find("error") is not None]
    skipped = [c for c in cases if c.find("skipped") is not None]
    names = tuple(f"{c.get('classname', '').rpartition('.')[2]}::{c.get('name')}" for c in failed)
    return Round(target, len(cases) - len(failed) - len(skipped), names, len(skipped), seconds)


@contextmanager
def running(target: str) -> Iterator[Host]:
    """Start what a target names, or find it."""
    if "://" in target:
        with elsewhere(target.rstrip("/")) as host:
            yield host
        return
    port = PORT if is_free(PORT) else free_port()
    if port != PORT:
        sys.stdout.write(f"Port {PORT} is taken: serving on {port}.\n")
    programs = suite.environment(peer=target == "langgraph-dev")
    with host_of(target)(Place(suite.CONFIG, programs, port)) as host:
        yield host


def rounds(target: str, times: int, chosen: str | None) -> Iterator[Round]:
    """Run the suite several times in a row on one server, which is never fresh again after the first."""
    with running(target) as host:
        for _ in range(times):
            done = one_round(target, host, chosen)
            yield done
            if done.failed:
                sys.stdout.write(host.said())


def table(found: list[Round], wanted: int | None) -> str:
    """Make the table."""
    lines = [f"{'target':24} {'passed':>6} {'failed':>6} {'skipped':>7} {'seconds':>7}"]
    for done in found:
        verdict = "" if done.good(wanted) else "  " + (", ".join(done.failed) or "NOT ALL")
        counts = f"{done.passed:6} {len(done.failed):6} {done.skipped:7} {done.seconds:7.1f}"
        lines.append(f"{done.target:24} {counts}{verdict}")
    return "\n".join(lines)


def main() -> int:
    """Parse the arguments, run, and print the table."""
    parser = argparse.ArgumentParser(prog="make conformance", description=__doc__)
    parser.add_argument(
        "--target", action="append", help="sqlite, postgres, langgraph-dev or a URL (default: both ours)"
    )
    parser.add_argument("--times", type=int, default=3, help="rounds in a row on each (default 3)")
    parser.add_argument("-k", dest="chosen", help="as in pytest: a part of the suite")
    args = parser.parse_args()
    wanted = None if args.chosen else suite.TESTS
    found: list[Round] = []
    try:
        suite.sdist()
        suite.environment()
        for target in args.target or OURS:
            found += rounds(target, args.times, args.chosen)
    except (suite.UnpreparedError, RuntimeError) as exc:
        sys.stdout.write(f"{exc}\n")
        return 1
    finally:
        sys.stdout.write(f"\n{table(found, wanted)}\n")
    return 0 if all(done.good(wanted) for done in found) else 1


if __name__ == "__main__":
    sys.exit(main())
