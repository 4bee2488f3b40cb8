"""Checkpoint savers and the long-term store, on whatever the database is: memory, SQLite, PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.store.base import BaseStore, TTLConfig
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from psycopg import AsyncConnection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from .engine import Database
from .locking import file_lock_async, lock_beside
from .serde import make_serde
from .sqlite import open_connection

Fence = Callable[[], None]
"""Raises when the run that writes has lost its lease."""

ITEM_TTL: TTLConfig = {"refresh_on_read": True, "omit_expired": True}
"""Reading an item renews its time to live unless the reader says otherwise."""
_NOTE_STEP = "INSERT INTO store_migrations (v) SELECT coalesce(max(v), -1) + 1 FROM store_migrations"
_SQLITE_TABLES = ("checkpoints", "writes")
_POSTGRES_TABLES = ("checkpoints", "checkpoint_blobs", "checkpoint_writes")


def _no_fence() -> None:
    """Let everything pass: for reading, and for graphs that no run drives."""


class _Fenced(BaseCheckpointSaver[Any]):
    """A stale worker writes no checkpoint: every write asks the fence first."""

    fence: Fence = staticmethod(_no_fence)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        self.fence()
        return await super().aput(config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        self.fence()
        await super().aput_writes(config, writes, task_id, task_path)


class _MemorySaver(_Fenced, InMemorySaver):
    """Fenced, in memory."""


class _SqliteSaver(_Fenced, AsyncSqliteSaver):
    """Fenced, on the one connection."""


class _PostgresSaver(_Fenced, AsyncPostgresSaver):
    """Fenced, on the pool: a saver serialises on a lock of its own, so each run gets one."""


class Checkpoints:
    """Where checkpoints live.

    `saver()` makes a saver for one run, `reader` serves everything else. `open` must be entered before use.
    """

    def __init__(self) -> None:
        self.store: BaseStore = InMemoryStore()
        self._shared: Any = _MemorySaver(serde=make_serde())

    @property
    def reader(self) -> BaseCheckpointSaver[Any]:
        """A saver without a fence."""
        saver: BaseCheckpointSaver[Any] = self._shared
        return saver

    def saver(self, fence: Fence = _no_fence) -> BaseCheckpointSaver[Any]:
        """Make a saver for one run, guarded by its fence."""
        saver = _MemorySaver(serde=make_serde())
        saver.storage, saver.writes, saver.blobs = self._shared.storage, self._shared.writes, self._shared.blobs
        saver.fence = fence
        return saver

    async def setup(self) -> None:
        """Create the tables of LangGraph's own that are missing."""

    async def prune(self, thread_id: str) -> None:
        """Drop a resting thread's sub-graph checkpoints: nothing resumes from them any more."""
        shared = self._shared
        for namespace in [ns for ns in shared.storage.get(thread_id, {}) if ns]:
            del shared.storage[thread_id][namespace]
        for kept in (shared.writes, shared.blobs):
            for key in [key for key in kept if key[0] == thread_id and key[1]]:
                del kept[key]

    async def delete(self, thread_id: str) -> None:
        """Drop everything of a thread."""
        await self._shared.adelete_thread(thread_id)


class SqliteCheckpoints(Checkpoints):
    """On a connection of its own to the SQLite file."""

    def __init__(self, connection: aiosqlite.Connection, store: aiosqlite.Connection) -> None:
        super().__init__()
        self._connection = connection
        self._store_connection = store
        self._shared = _SqliteSaver(connection, serde=make_serde())
        self.store = AsyncSqliteStore(store, ttl=ITEM_TTL)

    def saver(self, fence: Fence = _no_fence) -> BaseCheckpointSaver[Any]:
        """Make a saver that shares the connection and its lock."""
        saver = _SqliteSaver(self._connection, serde=make_serde())
        saver.lock, saver.is_setup, saver.fence = self._shared.lock, True, fence
        return saver

    async def setup(self) -> None:
        """Create what is missing; part of every start."""
        await self._shared.setup()
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
                await self._store_connection.execute(_NOTE_STEP)
            else:
                return
        await store.setup()

    async def prune(self, thread_id: str) -> None:
        """Drop a resting thread's sub-graph checkpoints."""
        async with self._shared.lock:
            for table in _SQLITE_TABLES:
                query = f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_ns <> ''"  # noqa: S608 - our names
                await self._connection.execute(query, (thread_id,))
            await self._connection.commit()


class PostgresCheckpoints(Checkpoints):
    """On a pool of its own."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> None:
        super().__init__()
        self._pool = pool
        self._shared = _PostgresSaver(pool, serde=make_serde())
        self.store = AsyncPostgresStore(pool, ttl=ITEM_TTL)

    @property
    def reader(self) -> BaseCheckpointSaver[Any]:
        """Make a saver without a fence; a shared one would serialise all readers."""
        return self.saver()

    def saver(self, fence: Fence = _no_fence) -> BaseCheckpointSaver[Any]:
        """Make a saver on the pool."""
        saver = _PostgresSaver(self._pool, serde=make_serde())
        saver.fence = fence
        return saver

    async def setup(self) -> None:
        """Create what is missing; part of `codelab db upgrade`, never of a start."""
        await self._shared.setup()
        if isinstance(self.store, AsyncPostgresStore):
            await self.store.setup()

    async def prune(self, thread_id: str) -> None:
        """Drop a resting thread's sub-graph checkpoints."""
        async with self._pool.connection() as connection:
            for table in _POSTGRES_TABLES:
                query = f"DELETE FROM {table} WHERE thread_id = %s AND checkpoint_ns <> ''"  # noqa: S608 - our names
                await connection.execute(query.encode(), (thread_id,))


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
            checkpoints = Checkpoints()
        elif database.file is not None:
            checkpoints = await _open_sqlite(str(database.file), stack)
        else:
            checkpoints = PostgresCheckpoints(await stack.enter_async_context(_pool(database)))
        stack.push_async_callback(_stop_batching, checkpoints.store)
        yield checkpoints


async def _open_sqlite(file: str, stack: AsyncExitStack) -> Checkpoints:
    connection = await stack.enter_async_context(open_connection(file))
    store = await stack.enter_async_context(open_connection(file, isolation_level=None))
    checkpoints = SqliteCheckpoints(connection, store)
    async with file_lock_async(lock_beside(Path(file))):  # LangGraph's own migrations run twice otherwise
        for opened in (connection, store):
            await opened.execute("PRAGMA journal_mode=WAL")
            await opened.execute("PRAGMA synchronous=NORMAL")
        await checkpoints.setup()
    return checkpoints


def _pool(database: Database) -> AsyncConnectionPool[AsyncConnection[DictRow]]:
    conninfo = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return AsyncConnectionPool(
        conninfo,
        min_size=2,
        max_size=10,
        open=False,
        connection_class=AsyncConnection[DictRow],
        kwargs={"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row},
    )
