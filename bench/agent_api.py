"""The Agent Server API: ours over HTTP, `langgraph dev`, and bare LangGraph in the same run."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bench import api_bare, api_clients
from bench.figures import Budget, Figure
from bench.folders import work_folder
from tests.conformance import hosts
from tests.conformance.hosts import Host, Place
from tests.support import postgres
from tests.support.processes import free_port

CONFIG: Final = Path(__file__).parent / "api_graphs" / "langgraph.json"
AT_ONCE: Final = 20
READERS: Final = 20
STREAMS: Final = 500
QUICK: Final = bool(os.environ.get("BENCH_QUICK"))
"""Fewer and shorter samples: `make bench ARGS=agent BENCH_QUICK=1`."""
ROUNDS: Final = 1 if QUICK else 3
RUNS: Final = 100 if QUICK else 400
FIRST: Final = 10 if QUICK else 40
TOKENS: Final = 1000 if QUICK else 4000
FRAMES: Final = 2000 if QUICK else 10_000
PEER_RUNS: Final = 40


async def measure() -> list[dict[str, Any]]:
    """Measure everything; each host has both cores to itself while it is measured."""
    rows: list[dict[str, Any]] = []
    for part in (_runs, _first, _stream, _fan_out, _memory):
        rows += await part()
    return rows


async def _runs() -> list[dict[str, Any]]:
    figures = {
        kind: Figure(f"runs/s, one node, {AT_ONCE} at once, {kind}", "/s") for kind in ("memory", "sqlite", "postgres")
    }
    with postgres.running_postgres() as server:
        for kind, figure in figures.items():
            async with work_folder() as folder:
                url = server.url(server.create()) if kind == "postgres" else None
                async with api_bare.savers(kind, folder, url) as make:
                    figure.bare += await _rounds(partial(api_bare.rate, make, RUNS, AT_ONCE))
    for kind, host in (("sqlite", hosts.sqlite), ("postgres", hosts.on_postgres)):
        figures[kind].ours += await _at(host, lambda port, _: _rounds(partial(api_clients.rate, port, RUNS, AT_ONCE)))
    peer = await _at(hosts.langgraph_dev, lambda port, _: _rounds(partial(api_clients.rate, port, PEER_RUNS, AT_ONCE)))
    figures["memory"].dev = figures["sqlite"].dev = figures["postgres"].dev = peer
    budget = Budget(least=0.6, ratio=True)
    return [figure.row(None if kind == "memory" else budget) for kind, figure in figures.items()]


async def _first() -> list[dict[str, Any]]:
    alone = Figure("first `messages` event, p50, in one process", "ms")
    apart = Figure("first `messages` event, p50, a separate worker", "ms")

    async def sample(port: int, _pid: int) -> list[float]:
        return (await api_clients.first_message(port, FIRST + 5))[5:]

    alone.ours += await _at(hosts.sqlite, sample)
    apart.ours += await _at(partial(hosts.distributed, workers=1), sample)
    alone.dev += await _at(hosts.langgraph_dev, lambda port, _: api_clients.first_message(port, 5))
    return [alone.row(Budget(most=15)), apart.row(Budget(most=30))]


async def _stream() -> list[dict[str, Any]]:
    figure = Figure("tokens/s of a `messages` stream, sqlite", "/s")
    gc.collect()
    gc.freeze()  # bare LangGraph must not pay for what was measured before it in this process
    async with work_folder() as folder, api_bare.savers("sqlite", folder) as make:
        figure.bare += await _rounds(partial(api_bare.tokens, make, TOKENS))
    figure.ours += await _at(hosts.sqlite, lambda port, _: _rounds(partial(api_clients.tokens, port, TOKENS)))
    figure.dev += await _at(hosts.langgraph_dev, lambda port, _: _rounds(partial(api_clients.tokens, port, TOKENS)))
    return [figure.row(Budget(least=0.7, ratio=True))]


async def _fan_out() -> list[dict[str, Any]]:
    figure = Figure(f"frames/s of one run to {READERS} readers", "/s")
    work = partial(_fan, rounds=ROUNDS)
    figure.ours += await _at(hosts.sqlite, work)
    figure.dev += await _at(hosts.langgraph_dev, work)
    return [figure.row(Budget(least=20_000))]


async def _fan(port: int, _pid: int, *, rounds: int) -> list[float]:
    return [await api_clients.readers(port, READERS, FRAMES) for _ in range(rounds)]


async def _memory() -> list[dict[str, Any]]:
    body = {"channels": ["values", "lifecycle", "messages"]}
    figure = Figure(f"memory of one of {STREAMS} open streams", "KiB")

    async def sample(port: int, pid: int) -> list[float]:
        return [await api_clients.open_streams(port, pid, STREAMS, "/threads/{thread}/stream/events", body)]

    figure.ours += await _at(hosts.sqlite, sample)
    return [figure.row(Budget(most=60))]


async def _rounds(once: Callable[[], Awaitable[float]]) -> list[float]:
    """One to warm up, then the samples."""
    return [await once() for _ in range(ROUNDS + 1)][1:]


async def _at(
    host: Callable[[Place], AbstractContextManager[Host]], work: Callable[[int, int], Awaitable[list[float]]]
) -> list[float]:
    """Start a host, measure at its port (and process), end it."""
    with _running(host) as running:
        return await work(int(urlsplit(running.url).port or 0), running.pid)


@contextmanager
def _running(host: Callable[[Place], AbstractContextManager[Host]]) -> Iterator[Host]:
    with ExitStack() as stack:
        place = Place(CONFIG, Path(sys.executable).parent, free_port())
        yield stack.enter_context(host(place))


if __name__ == "__main__":
    sys.stdout.write("\n".join(str(row) for row in asyncio.run(measure())) + "\n")
