"""SQLite connections as asyncio needs them: a cancellation waits for the transaction, and a statement is one trip.

aiosqlite runs each call in the connection's thread. A cancelled await leaves its statement half read there, and closing
such a connection makes SQLite keep it, write lock included, until somebody collects the garbage. So a cancellation is
noted, the call ends, and the cancellation strikes at the next await that is none of the database's.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeVar

import aiosqlite

Result = TypeVar("Result")

TIMEOUT_S = 10.0
"""How long a statement waits for another connection's write lock."""


class SteadyConnection(aiosqlite.Connection):
    """A connection whose calls end even when their caller is cancelled."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._running or not self._connection:
            raise ValueError("no active connection")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._tx.put_nowait((future, partial(fn, *args, **kwargs)))
        return await to_its_end(future)

    async def work(self, work: Callable[[sqlite3.Connection], Result]) -> Result:
        """Do several things in one trip; nothing else happens on the connection meanwhile."""
        done: Result = await self._execute(work, self._conn)
        return done


class OneTripConnection(SteadyConnection):
    """A connection whose statements come back with all their rows: SQLAlchemy would make four trips of one."""

    async def cursor(self) -> aiosqlite.Cursor:  # type: ignore[override]  # awaited by SQLAlchemy, never entered
        """Open a cursor; that touches memory only."""
        return OneTripCursor(self, self._conn.cursor())

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """Run a statement and give all its rows."""
        return await self.work(lambda connection: connection.execute(sql, parameters).fetchall())

    async def change(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement for each of some parameters; how many rows it changed."""
        return await self.work(lambda connection: connection.executemany(sql, rows).rowcount)

    async def rollback(self) -> None:
        """Roll back, if there is anything to roll back: the pool asks each time."""
        if self._conn.in_transaction:
            await super().rollback()


class OneTripCursor(aiosqlite.Cursor):
    """Executes and fetches in one trip to the connection's thread."""

    _rows: list[Any] | None = None

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> aiosqlite.Cursor:
        """Run a statement and fetch whatever it returns."""
        execute: Any = self._execute  # aiosqlite leaves it untyped
        self._rows = await execute(self._run, sql, parameters)
        return self

    async def fetchall(self) -> Iterable[Any]:
        """Hand the rows over."""
        rows, self._rows = self._rows or [], None
        return rows

    async def close(self) -> None:
        """Forget the statement; that touches memory only."""
        self._cursor.close()

    def _run(self, sql: str, parameters: Iterable[Any] | None) -> list[Any] | None:
        self._cursor.execute(sql, parameters if parameters is not None else ())  # type: ignore[arg-type]
        return self._cursor.fetchall() if self._cursor.description else None


class InlineConnection(OneTripConnection):
    """A connection to a database in memory: a statement takes microseconds, a trip to a thread ten times as long."""

    async def cursor(self) -> aiosqlite.Cursor:  # type: ignore[override]  # awaited by SQLAlchemy, never entered
        """Open a cursor."""
        return InlineCursor(self, self._conn.cursor())

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> list[Any]:
        """Run a statement and give all its rows."""
        return self._conn.execute(sql, parameters).fetchall()

    async def change(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run a statement for each of some parameters; how many rows it changed."""
        return self._conn.executemany(sql, rows).rowcount

    async def commit(self) -> None:
        """Commit here and now."""
        self._conn.commit()

    async def rollback(self) -> None:
        """Roll back here and now."""
        self._conn.rollback()


class InlineCursor(OneTripCursor):
    """Executes where it is called."""

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> aiosqlite.Cursor:
        """Run a statement and fetch whatever it returns."""
        self._rows = self._run(sql, parameters)
        return self


def open_connection(
    file: str,
    *,
    kind: type[SteadyConnection] = SteadyConnection,
    uri: bool = False,
    isolation_level: str | None = "DEFERRED",
) -> SteadyConnection:
    """Make a connection that opens when awaited or entered; its thread never keeps the process alive."""

    def connect() -> sqlite3.Connection:
        # The thread does the work; opening and closing a cursor beside it is serialised by awaiting each call.
        options: dict[str, Any] = {"isolation_level": isolation_level}
        opened: sqlite3.Connection = sqlite3.connect(
            file, timeout=TIMEOUT_S, uri=uri, check_same_thread=False, **options
        )
        return opened

    connection: SteadyConnection = kind(connect, iter_chunk_size=64)
    connection._thread.daemon = True  # noqa: SLF001 - as SQLAlchemy does: there is no public way
    return connection


async def to_its_end(future: asyncio.Future[Any]) -> Any:
    """Wait for a result even when cancelled; the cancellation strikes at the next await."""
    cancelled = False
    while not future.done():
        try:
            await asyncio.wait((future,))
        except asyncio.CancelledError:
            cancelled = True
            _task().uncancel()
    if cancelled:
        _task().cancel()
    return future.result()


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a database call outside of a task")
    return task
