"""Rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from ...store.engine import Database
from ...store.models import LedgerRow
from ...store.models.base import table_of

_T: Final = table_of(LedgerRow)
_TOGETHER: Final = 1_000
"""Rows deleted in one transaction."""
# What was committed although its connection broke is sent once more.
_INSERT: Final = {
    True: sqlite.insert(_T).on_conflict_do_nothing(),
    False: postgresql.insert(_T).on_conflict_do_nothing(),
}


async def insert_entries(database: Database, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows, all or none."""
    async with database.transaction() as session:
        await session.execute(_INSERT[database.is_sqlite], list(rows))


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
