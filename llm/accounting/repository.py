"""Rows of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, Integer, Label, and_, case, cast, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.types import Principal
from ...store.engine import Database
from ...store.models import LedgerRow
from ...store.models.base import table_of
from .entries import COLUMNS, Row
from .schemas import GroupBy, UsageFilter, UsageGroup, UsageTotals

_T: Final = table_of(LedgerRow)
_TOGETHER: Final = 1_000
"""Rows deleted in one transaction."""
# Past SQLAlchemy's conversion of values, which costs twice what SQLite takes to store them. A row may be sent again: it
# was committed although the connection broke.
_INSERT: Final = f"INSERT INTO ledger ({', '.join(COLUMNS)}) VALUES ({{}}) ON CONFLICT DO NOTHING"  # noqa: S608
_INTO_SQLITE: Final = _INSERT.format(", ".join("?" * len(COLUMNS)))
_INTO_POSTGRES: Final = _INSERT.format(", ".join(["%s"] * len(COLUMNS)))
_ZONE: Final = len("+00:00")
_NAMED: Final[dict[GroupBy, str]] = {"user": "owner_id", "key": "key_id", "thread": "thread_id", "run": "run_id"}
_EXACT: Final = ("request_id", "key_id", "thread_id", "run_id", "agent", "provider", "model")
_HITS: Final = ("hit", "semantic", "stale", "shared")
_SUMS: Final = (
    *("prompt_tokens", "cached_tokens", "completion_tokens", "reasoning_tokens", "cost", "saved", "baseline_cost"),
)


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


def _seen(principal: Principal, asked: UsageFilter) -> ColumnElement[bool]:
    """Bind a query to what the principal may see and asked for."""
    parts = [_T.c.tenant_id == principal.tenant_id]
    if "llm:admin" not in principal.scopes:
        parts.append(_T.c.owner_id == principal.user_id)
    if asked.user_id is not None:
        parts.append(_T.c.owner_id == asked.user_id)
    if asked.since is not None:
        parts.append(_T.c.started_at >= asked.since)
    if asked.until is not None:
        parts.append(_T.c.started_at < asked.until)
    parts += [_T.c[name] == value for name in _EXACT if (value := getattr(asked, name)) is not None]
    # Said as the partial indexes say it, or they are not used.
    parts += [_T.c[name] != "" for name in ("thread_id", "run_id") if getattr(asked, name) is not None]
    return and_(*parts)


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _sums() -> list[Label[Any]]:
    written = func.sum(_T.c.cache_write_tokens + _T.c.cache_write_1h_tokens)
    return [
        func.count().label("requests"),
        _count(_T.c.error != "").label("errors"),
        _count(_T.c.cache.in_(_HITS)).label("cache_hits"),
        func.coalesce(func.sum(cast(_T.c.estimated, Integer)), 0).label("estimated"),
        func.coalesce(written, 0).label("cache_write_tokens"),
        *(func.coalesce(func.sum(_T.c[name]), 0).label(name) for name in _SUMS),
        func.avg(_T.c.first_token_ms).label("first_token_ms"),
        func.avg(_T.c.tokens_per_second).label("tokens_per_second"),
    ]


async def totals_of(session: AsyncSession, principal: Principal, asked: UsageFilter) -> UsageTotals:
    """Sum all."""
    row = (await session.execute(select(*_sums()).where(_seen(principal, asked)))).one()
    return UsageTotals.model_validate(row)


async def totals_by(
    session: AsyncSession, principal: Principal, asked: UsageFilter, group_by: Sequence[GroupBy], limit: int
) -> list[UsageGroup]:
    """Sum each group."""
    names = list(dict.fromkeys(group_by))
    columns = [_T.c[_NAMED.get(name, name)] for name in names]
    order = [columns[0].desc()] if names[0] == "day" else []
    query = select(*(c.label(f"by_{n}") for n, c in zip(names, columns, strict=True)), *_sums())
    query = query.where(_seen(principal, asked)).group_by(*columns)
    query = query.order_by(*order, func.sum(_T.c.cost).desc(), *columns).limit(limit)
    rows = (await session.execute(query)).mappings()
    return [UsageGroup.model_validate({**row, "key": {name: row[f"by_{name}"] for name in names}}) for row in rows]


async def page_of_rows(
    session: AsyncSession,
    principal: Principal,
    asked: UsageFilter,
    *,
    limit: int,
    after: tuple[datetime, str] | None,
) -> Sequence[LedgerRow]:
    """Fetch rows, newest first."""
    query = select(LedgerRow).where(_seen(principal, asked))
    if after is not None:
        at, row_id = after
        query = query.where(or_(_T.c.started_at < at, and_(_T.c.started_at == at, _T.c.id < row_id)))
    query = query.order_by(_T.c.started_at.desc(), _T.c.id.desc()).limit(limit)
    return (await session.scalars(query)).all()
