"""Rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, select

from ...store.engine import Database
from ...store.models import LedgerRow
from ...store.models.base import table_of
from .entries import COLUMNS, Row

_T: Final = table_of(LedgerRow)
_TOGETHER: Final = 1_000
"""Rows deleted in one transaction."""
# Past SQLAlchemy's conversion of values, which costs twice what SQLite takes to store them. A row may be sent again: it
# was committed although the connection broke.
_INSERT: Final = f"INSERT INTO ledger ({', '.join(COLUMNS)}) VALUES ({{}}) ON CONFLICT DO NOTHING"  # noqa: S608
_INTO_SQLITE: Final = _INSERT.format(", ".join("?" * len(COLUMNS)))
_INTO_POSTGRES: Final = _INSERT.format(", ".join(["%s"] * len(COLUMNS)))
_ZONE: Final = len("+00:00")


async def insert_entries(database: Database, rows: Sequence[Row]) -> None:
    """Write rows, all or none."""
    statement = _INTO_SQLITE if database.is_sqlite else _INTO_POSTGRES
    values = [(*row[:-1], row[-1][:-_ZONE]) for row in rows] if database.is_sqlite else list(rows)
    async with database.transaction() as session:
        await (await session.connection()).exec_driver_sql(statement, values)


async def forget_rows(database: Database, before: datetime) -> int:
    """Delete the rows of requests that began before this, some at a time; how many."""
    gone, tenant = 0, ""
    while (found := await _next_tenant(database, tenant)) is not None:
        tenant = found
        old = select(_T.c.id).where(_T.c.tenant_id == tenant, _T.c.started_at < before).limit(_TOGETHER)
        deleted = _TOGETHER
        while deleted == _TOGETHER:
            async with database.transaction() as session:
                result: Any = await session.execute(delete(_T).where(_T.c.id.in_(old)))
                deleted = int(result.rowcount)
            gone += deleted
    return gone


async def _next_tenant(database: Database, after: str) -> str | None:
    """Walk the index of tenants from one to the next."""
    async with database.read() as session:
        found: str | None = await session.scalar(select(func.min(_T.c.tenant_id)).where(_T.c.tenant_id > after))
        return found
