"""Checkpoint savers and the long-term store, on whatever the database is: memory, SQLite, PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from .checkpoints_fence import Fence, Fenced, no_fence
from .checkpoints_memory import MemorySaver
from .checkpoints_postgres import Pool, PostgresSaver, make_pool
from .checkpoints_sqlite import SqliteSaver
from .engine import Database
from .lease import Lease
from .locking import file_lock_async, lock_beside
from .longterm import PostgresStore, SqliteStore
from .sqlite import SteadyConnection, open_connection

__all__ = ["Checkpoints", "Fence", "PostgresCheckpoints", "SqliteCheckpoints", "open_checkpoints"]

_NOTE_STEP = "INSERT INTO store_migrations (v) SELECT coalesce(max(v), -1) + 1 FROM store_migrations"


class Checkpoints:
    """Where checkpoints live.

    `saver()` makes a saver for one run, `reader` serves everything else. `open` must be entered before use.
    """

    def __init__(self, saver: Fenced, store: BaseStore) -> None:
        self.store = store
        self._saver = saver

    @property
    def reader(self) -> BaseCheckpointSaver[Any]:
        """A saver without a fence."""
        return self._saver

    def saver(self, fence: Fence = no_fence, lease: Lease | None = None) -> Fenced:
        """Make a saver for one run, guarded by its fence and, where there is a database, by its lease."""
        return self._saver.guarded(fence, lease)

    async def setup(self) -> None:
        """Create the tables of LangGraph's own that are missing."""

    async def prune(self, thread_id: str) -> None:
        """Drop a resting thread's sub-graph checkpoints: nothing resumes from them any more."""
        await self._saver.drop_namespaces(thread_id)

    async def drop_runs(self, thread_id: str, run_ids: Sequence[str]) -> None:
        """Drop what runs wrote in a thread: its state is again what it was before them."""
        await self._saver.drop_runs(thread_id, run_ids)

    async def delete(self, thread_id: str) -> None:
        """Drop everything of a thread."""
        await self._saver.adelete_thread(thread_id)


class SqliteCheckpoints(Checkpoints):
    """On a connection of its own to the SQLite file."""

    def __init__(self, saver: SqliteSaver, store: SteadyConnection) -> None:
        super().__init__(saver, SqliteStore(store))
        self._connection = store

    async def setup(self) -> None:
        """Create what is missing; part of every start."""
        if isinstance(self._saver, SqliteSaver):
            await self._saver.setup()
        if isinstance(self.store, AsyncSqliteStore):
            await self._set_up_store(self.store)

    async def _set_up_store(self, store: AsyncSqliteStore) -> None:
        """Run the store's own migrations; a step that a kill cut off between doing and noting it is noted now."""
        for _ in store.MIGRATIONS:
            try:
                await store.setup()
            except sqlite3.OperationalError as exc:
                if "duplicate column name" not in str(exc):
                    raise
                await self._connection.execute(_NOTE_STEP)
            else:
                return
        await store.setup()


class PostgresCheckpoints(Checkpoints):
    """On a pool of its own."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(PostgresSaver(pool), PostgresStore(pool))

    @property
    def reader(self) -> BaseCheckpointSaver[Any]:
        """Make a saver without a fence; a shared one would serialise all readers."""
        return self.saver()

    async def setup(self) -> None:
        """Create what is missing; part of `codelab db upgrade`, never of a start."""
        if isinstance(self._saver, PostgresSaver):
            await self._saver.setup()
        if isinstance(self.store, AsyncPostgresStore):
            await self.store.setup()


async def _stop_batching(store: BaseStore) -> None:
    """End the background task of LangGraph's stores, which have no way to close."""
    task: asyncio.Task[None] | None = getattr(store, "_task", None)
    if task is not None:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def open_checkpoints(database: Database) -> AsyncIterator[Checkpoints]:
    """Open the savers that belong to a database, for the life of the block."""
    async with AsyncExitStack() as stack:
        if database.in_memory:
            checkpoints = Checkpoints(MemorySaver(), InMemoryStore())
        elif database.file is not None:
            checkpoints = await _open_sqlite(database, str(database.file), stack)
        else:
            conninfo = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
            checkpoints = PostgresCheckpoints(await stack.enter_async_context(make_pool(conninfo)))
        stack.push_async_callback(_stop_batching, checkpoints.store)
        yield checkpoints


async def _open_sqlite(database: Database, file: str, stack: AsyncExitStack) -> Checkpoints:
    connection, store = (open_connection(file, isolation_level=None) for _ in range(2))
    for opened in (connection, store):
        await stack.enter_async_context(opened)
    checkpoints = SqliteCheckpoints(SqliteSaver(connection, turn=database.turn), store)
    async with file_lock_async(lock_beside(Path(file))):  # LangGraph's own migrations run twice otherwise
        for opened in (connection, store):
            await opened.execute("PRAGMA journal_mode=WAL")
            await opened.execute("PRAGMA synchronous=NORMAL")
        await checkpoints.setup()
    return checkpoints
