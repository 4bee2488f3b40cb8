"""Bare LangGraph in this process, the stock saver of each database: what the Agent Server API is measured beside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from bench.api_graphs.graphs import one, talk

Savers = Callable[[], Any]


@asynccontextmanager
async def savers(kind: str, folder: Path, postgres_url: str | None = None) -> AsyncIterator[Savers]:
    """Give the saver of a run: one for all on SQLite and in memory, one per run on a pool of PostgreSQL's."""
    if kind == "memory":
        kept = InMemorySaver()
        yield lambda: kept
    elif kind == "sqlite":
        async with AsyncSqliteSaver.from_conn_string(str(folder / "bare.db")) as saver:
            await saver.setup()
            yield lambda: saver
    else:
        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        async with AsyncConnectionPool(
            postgres_url or "", min_size=10, max_size=10, open=False, kwargs=options
        ) as pool:
            await AsyncPostgresSaver(pool).setup()  # type: ignore[arg-type]
            yield lambda: AsyncPostgresSaver(pool)  # type: ignore[arg-type]


async def rate(make: Savers, count: int, at_once: int) -> float:
    """Runs of the one-node graph per second, each on a thread of its own."""
    left = iter(range(count))

    async def crew() -> None:
        for _ in left:
            config: Any = {"configurable": {"thread_id": str(uuid4())}}
            await one.copy({"checkpointer": make()}).ainvoke({"count": 1}, config)

    began = time.perf_counter()
    await asyncio.gather(*(crew() for _ in range(at_once)))
    return count / (time.perf_counter() - began)


async def tokens(make: Savers, count: int) -> float:
    """Tokens of a `messages` stream per second."""
    config: Any = {"configurable": {"thread_id": str(uuid4())}}
    graph = talk.copy({"checkpointer": make()})
    said, began = 0, time.perf_counter()
    async for _ in graph.astream({"messages": [("user", str(count))]}, config, stream_mode="messages"):
        said += 1
    assert said >= count, said
    return said / (time.perf_counter() - began)
