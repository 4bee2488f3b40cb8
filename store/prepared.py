"""Prepared statements: compiled once, then handed straight to the driver, in the session's own transaction.

SQLAlchemy executes a statement in ten times the time that SQLite takes for it, and every turn executes some forty.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar

from sqlalchemy import Dialect, Executable
from sqlalchemy.engine import IteratorResult, Result
from sqlalchemy.engine.result import SimpleResultMetaData
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.pool import PoolProxiedConnection
from sqlalchemy.util import greenlet_spawn

from .sqlite import OneTripConnection

Statement = TypeVar("Statement", bound=Executable)
Rows = Sequence[tuple[Any, ...]]
Process = Callable[[Any], Any] | None
_PREPARED: Final = "codelab_prepared"
_KEPT: Final = 500


def prepared(statement: Statement) -> Statement:
    """Mark a statement: `Session.execute` prepares it. It names every value and reads no ORM object."""
    return statement.execution_options(**{_PREPARED: True})


def is_prepared(statement: Any) -> bool:
    """Whether a statement is marked so."""
    return isinstance(statement, Executable) and _PREPARED in statement.get_execution_options()


class Plan:
    """A statement as one dialect's driver takes it."""

    def __init__(self, statement: Any, dialect: Dialect, keys: Sequence[str]) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=list(keys) or None)
        self.sql = str(compiled)
        self._positions: Sequence[str] | None = compiled.positiontup
        self._fixed = compiled.construct_params(_check=False)
        self._binding: Sequence[tuple[str, Process]] = [
            (name, _kind(bind, dialect).bind_processor(dialect)) for bind, name in compiled.bind_names.items()
        ]
        columns: Sequence[Any] = getattr(statement, "exported_columns", ())
        self._reading = [_kind(column, dialect).result_processor(dialect, None) for column in columns]
        self._converts = any(self._reading)
        self._metadata = SimpleResultMetaData([column.key for column in columns])

    def bind(self, values: Mapping[str, Any]) -> Any:
        """Make the driver's parameters."""
        named = self._fixed | values
        bound = {name: named[name] if process is None else process(named[name]) for name, process in self._binding}
        return bound if self._positions is None else tuple(bound[name] for name in self._positions)

    def read(self, rows: Rows) -> Result[Any]:
        """Make the result of what the driver returned."""
        if self._converts:
            rows = [tuple(map(_read, self._reading, row)) for row in rows]
        return IteratorResult(self._metadata, iter(rows))


def _kind(column: Any, dialect: Dialect) -> Any:
    return column.type.dialect_impl(dialect)


def _read(process: Process, value: Any) -> Any:
    return value if process is None else process(value)


@lru_cache(maxsize=_KEPT)
def _plan(statement: Any, dialect: Dialect, keys: tuple[str, ...]) -> Plan:
    return Plan(statement, dialect, keys)


class Transaction:
    """What prepared statements run in."""

    dialect: Dialect

    async def execute(self, statement: Any, params: Any = None) -> Result[Any]:
        """Execute a prepared statement, for one set of values or for each of a list."""
        if not is_prepared(statement):
            raise TypeError("only prepared statements here; `Database.transaction` takes any")
        if isinstance(params, list):
            await self.change(statement, params)
            return _nothing()
        values = params or {}
        plan = _plan(statement, self.dialect, tuple(values) if statement.is_insert else ())
        return plan.read(await self.run(plan.sql, plan.bind(values)))

    async def change(self, statement: Any, rows: Sequence[Mapping[str, Any]]) -> int:
        """Execute a prepared statement that returns nothing for some sets of values; how many rows it changed."""
        plan = _plan(statement, self.dialect, tuple(rows[0]) if statement.is_insert else ())
        changed: int = await self._hand(_change, plan.sql, [plan.bind(values) for values in rows])
        return changed

    async def run(self, sql: str, values: Any) -> Rows:
        """Have the driver run a statement of its own dialect; its rows."""
        rows: Rows = await self._hand(_fetch, sql, values)
        return rows

    async def _hand(self, to: Callable[[Any, str, Any], Awaitable[Any]], sql: str, values: Any) -> Any:
        """Let the driver work; its errors are told as SQLAlchemy tells them."""
        dialect: Any = self.dialect
        try:
            return await to(await self._connected(), sql, values)
        except dialect.loaded_dbapi.Error as exc:
            gone = dialect.is_disconnect(exc, None, None)
            if gone:
                await self._invalidate(exc)
            raise DBAPIError.instance(
                sql, values, exc, Exception, hide_parameters=True, connection_invalidated=gone, dialect=dialect
            ) from exc

    async def _connected(self) -> Any:
        raise NotImplementedError

    async def _invalidate(self, exc: BaseException) -> None:
        raise NotImplementedError


class Session(Transaction, AsyncSession):
    """A session of one transaction that hands prepared statements to the driver, and does everything else as usual."""

    _driver: Any = None

    @property
    def dialect(self) -> Dialect:  # type: ignore[override]
        """Of the database."""
        return self.get_bind().dialect

    async def execute(self, statement: Any, params: Any = None, **more: Any) -> Result[Any]:
        """Execute; a prepared statement goes the short way."""
        if more or not is_prepared(statement):
            return await AsyncSession.execute(self, statement, params, **more)
        return await super().execute(statement, params)

    async def _connected(self) -> Any:
        if self._driver is None:
            connection = await self.connection()
            self._driver = (await connection.get_raw_connection()).driver_connection
        return self._driver

    async def _invalidate(self, exc: BaseException) -> None:
        await (await self.connection()).invalidate(exc)


class Direct(Transaction):
    """A transaction of prepared statements alone, on a connection out of the pool: a fifth of what a session costs.

    Args:
        connection: As the pool gives it.
        dialect: Of the database.
    """

    def __init__(self, connection: PoolProxiedConnection, dialect: Dialect) -> None:
        self.dialect = dialect
        self._pooled = connection
        self._lost = False
        self.driver: Any = connection.driver_connection

    @property
    def is_lost(self) -> bool:
        """Whether the connection turned out to be of no use any more."""
        return self._lost or bool(getattr(self.driver, "closed", False))

    async def close(self) -> None:
        """Give the connection back; what was not committed is rolled back."""
        await greenlet_spawn(self._pooled.close)

    async def drop(self) -> None:
        """Let the connection go without a word to the database."""
        await greenlet_spawn(self._pooled.invalidate)

    async def _connected(self) -> Any:
        return self.driver

    async def _invalidate(self, exc: BaseException) -> None:
        self._lost = True
        await greenlet_spawn(self._pooled.invalidate, exc)


async def _fetch(driver: Any, sql: str, values: Any) -> Rows:
    if isinstance(driver, OneTripConnection):
        return await driver.fetch(sql, values)
    cursor = await driver.execute(sql, values)
    rows: Rows = await cursor.fetchall() if cursor.description else ()
    return rows


async def _change(driver: Any, sql: str, values: Sequence[Any]) -> int:
    if isinstance(driver, OneTripConnection):
        return await driver.change(sql, values)
    async with driver.cursor() as cursor:
        await cursor.executemany(sql, values)
        changed: int = cursor.rowcount
        return changed


def _nothing() -> Result[Any]:
    return IteratorResult(SimpleResultMetaData([]), iter(()))
