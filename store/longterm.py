"""LangGraph's long-term stores, with a time to live for items."""

from __future__ import annotations

from typing import Final

from aiosqlite import Connection
from langgraph.store.base import TTLConfig
from langgraph.store.postgres.aio import AsyncPostgresStore
from langgraph.store.sqlite.aio import AsyncSqliteStore
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

_TTL: Final[TTLConfig] = {"refresh_on_read": True, "omit_expired": True}
"""Reading an item renews its time to live unless the reader says otherwise."""


class SqliteStore(AsyncSqliteStore):
    """On a connection of its own. Its two parents disagree about the time to live: it has one."""

    supports_ttl = True

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection, ttl=_TTL)


class PostgresStore(AsyncPostgresStore):
    """On a pool."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[DictRow]]) -> None:
        super().__init__(pool, ttl=_TTL)
