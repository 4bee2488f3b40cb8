"""How long after the model's first token a client reads it, over HTTP and SSE."""

from __future__ import annotations

import time
from typing import Any

from bench.folders import work_folder
from bench.row import row
from bench.serving import Client, served

RUNS = 30
WARM = 5


async def _one(client: Client, thread: str) -> float:
    async with client.following(thread) as events:
        await client.start(thread, "write a note")
        waited = 0.0
        async for event in events:
            if event["type"] == "TEXT_MESSAGE_CONTENT" and not waited:
                waited = time.monotonic() - float(event["delta"].split()[0])
            if event["type"] == "RUN_FINISHED":
                break
        return waited * 1000


async def measure() -> list[dict[str, Any]]:
    """Measure on a SQLite file."""
    async with work_folder() as folder:
        database = f"sqlite:///{folder / 'first.db'}"
        async with served(folder, database, threads=RUNS + WARM, long=False) as client:
            taken = [await _one(client, thread) for thread in client.threads]
    return [row("first token, from the model to the client", taken[WARM:], most=25)]
