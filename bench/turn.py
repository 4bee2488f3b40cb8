"""A turn over HTTP, POST to last event, beside bare LangGraph in process: three stores, short and long threads."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from bench.bare import bare_graph, bare_saver, bare_turn
from bench.folders import work_folder
from bench.row import row
from bench.scripts import LONG, scripted
from bench.serving import served
from tests.support import postgres

ROUNDS = 3
"""Each with processes of its own, ours and the peer's in turn: what the machine does meanwhile meets both."""
TURNS = 20
WARM = 5
PAUSE_S = 0.1
"""Between turns, on both sides: a turn is measured, not what the one before left to do in the background."""


async def _samples(turn: Any) -> list[float]:
    """Milliseconds of each turn after the warm-up; `turn` returns the seconds it took."""
    taken = []
    for number in range(TURNS + WARM):
        await asyncio.sleep(PAUSE_S)
        taken.append(await turn(number) * 1000)
    return taken[WARM:]


async def _bare(kind: str, folder: Path, url: str | None) -> list[float]:
    async with bare_saver(kind, folder, url) as saver:
        graph = bare_graph(scripted(), folder / "workspace", saver)

        async def one(number: int) -> float:
            began = time.perf_counter()
            await bare_turn(graph, f"bare-{number}", f"write note {number}")
            return time.perf_counter() - began

        return await _samples(one)


async def _ours(kind: str, folder: Path, url: str | None, *, long: bool) -> list[float]:
    database = {"memory": "sqlite://", "sqlite": f"sqlite:///{folder / 'ours.db'}"}.get(kind, url)
    async with served(folder, str(database), threads=TURNS + WARM, long=long) as client:

        async def one(number: int) -> float:
            thread = client.threads[number]
            async with client.following(thread) as events:
                began = time.perf_counter()
                await client.turn(thread, f"write note {number}", events)
                return time.perf_counter() - began

        return await _samples(one)


async def _rounds(kind: str, server: postgres.Postgres | None) -> tuple[list[float], list[float], list[float]]:
    """Milliseconds of bare turns, of ours, and of ours with a long history."""
    bare: list[float] = []
    short: list[float] = []
    grown: list[float] = []
    for _ in range(ROUNDS):
        async with work_folder() as folder:
            bare += await _bare(kind, folder, server and server.url(server.create()))
            short += await _ours(kind, folder, server and _migrated(server), long=False)
        async with work_folder() as folder:
            grown += await _ours(kind, folder, server and _migrated(server), long=True)
    return bare, short, grown


def _migrated(server: postgres.Postgres) -> str:
    url = server.url(server.create())
    postgres.migrate(url)
    return url


async def measure() -> list[dict[str, Any]]:
    """Measure all kinds; ours and the peer's in the same run."""
    rows: list[dict[str, Any]] = []
    with postgres.running_postgres() as server:
        for kind in ("memory", "sqlite", "postgres"):
            bare, short, grown = await _rounds(kind, server if kind == "postgres" else None)
            rows.append(row(f"turn, {kind}", short, bare, most=1.6))
            rows.append(row(f"turn with {LONG} messages, {kind} (beside our short turn)", grown, short, most=2.5))
    return rows
