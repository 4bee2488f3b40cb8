"""The differential probe: one script of calls against `langgraph dev` and against us, compared: `make probe`.

Ids and times are made equal. A difference that `docs/agent-api-differences.md` does not explain fails, and so does a
row of it that explains nothing any more.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.conformance.comparing import Difference, Explanation, differences, explanations
from tests.conformance.hosts import Place, elsewhere, host_of
from tests.conformance.recording import Recorder
from tests.conformance.scenarios import assistants, concurrency, protocol, runs, stores, threads
from tests.support.processes import free_port

GRAPHS: Final = Path(__file__).parent / "graphs" / "langgraph.json"
PEER: Final = "langgraph-dev"
AT_ONCE: Final = 4
Scenario = Callable[[Recorder], Awaitable[None]]


def scenarios(chosen: str | None) -> Iterator[tuple[str, Scenario]]:
    """Every scenario by its name."""
    for module in (assistants, threads, runs, concurrency, stores, protocol):
        for scenario in module.SCENARIOS:
            name = f"{module.__name__.rpartition('.')[2]}.{scenario.__name__}"
            if not chosen or chosen in name:
                yield name, scenario


async def record(url: str, chosen: str | None) -> dict[str, Any]:
    """Run all scenarios, some at once: they share no thread."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str, scenario: Scenario) -> dict[str, Any]:
        recorder = Recorder(url, name)
        async with gate, recorder.http:
            try:
                await scenario(recorder)
            except Exception:  # noqa: BLE001 - a server that breaks a scenario differs there; the others go on
                recorder.note("broke", traceback.format_exc(limit=-1).splitlines()[-1])
                sys.stderr.write(f"{name} at {url}\n{traceback.format_exc(limit=-3)}\n")
        return recorder.seen

    found = await asyncio.gather(*(one(name, scenario) for name, scenario in scenarios(chosen)))
    return {step: answer for part in found for step, answer in part.items()}


@contextmanager
def running(target: str) -> Iterator[str]:
    """Start a target with the probe's graphs, or find it; its URL."""
    if "://" in target:
        with elsewhere(target.rstrip("/")) as host:
            yield host.url
        return
    programs = Path(sys.executable).parent
    with host_of(target)(Place(GRAPHS, programs, free_port())) as host:
        yield host.url


def recorded(target: str, chosen: str | None) -> dict[str, Any]:
    """Record a target, or read what was recorded before (a file that ends in `.json`)."""
    if target.endswith(".json"):
        kept: dict[str, Any] = json.loads(Path(target).read_text("utf-8"))
        names = {name for name, _ in scenarios(chosen)}
        return {step: answer for step, answer in kept.items() if step.partition("/")[0] in names}
    with running(target) as url:
        return asyncio.run(record(url, chosen))


def report(found: list[Difference], rows: list[Explanation], *, whole: bool) -> int:
    """Print what is unexplained and what explains nothing; the exit code."""
    open_ = [one for one in found if not any(row.covers(one) for row in rows)]
    idle = [row for row in rows if not any(row.covers(one) for one in found)] if whole else []
    for one in open_:
        sys.stdout.write(f"{one}\n")
    for row in idle:
        sys.stdout.write(f"explains nothing any more: {row.step} {row.place}\n")
    explained = len(found) - len(open_)
    sys.stdout.write(f"\n{explained} explained, {len(open_)} unexplained differences, {len(idle)} idle rows\n")
    return 1 if open_ or idle else 0


def main() -> int:
    """Parse the arguments, record both, compare."""
    parser = argparse.ArgumentParser(prog="make probe", description=__doc__)
    parser.add_argument("--peer", default=PEER, help="langgraph-dev, a URL or a recording")
    parser.add_argument("--target", default="sqlite", help="sqlite, postgres, a URL or a recording")
    parser.add_argument("--keep", type=Path, help="write both recordings into this folder")
    parser.add_argument("-k", dest="chosen", help="only scenarios whose name holds this")
    args = parser.parse_args()
    both = {name: recorded(target, args.chosen) for name, target in (("theirs", args.peer), ("ours", args.target))}
    for name, kept in both.items() if args.keep else ():
        (args.keep / f"{name}.json").write_text(json.dumps(kept, indent=1, ensure_ascii=False), "utf-8")
    return report(differences(both["theirs"], both["ours"]), explanations(), whole=args.chosen is None)


if __name__ == "__main__":
    sys.exit(main())
