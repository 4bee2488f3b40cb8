"""Rows of budgets as those who set them see them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.types import Principal
from ...store.models import BudgetAccountRow, BudgetLeaseRow, BudgetRow
from ...store.models.base import table_of
from .budget_repository import limit_of
from .limits import EACH, Limit, span_at

_B: Final = table_of(BudgetRow)
_A: Final = table_of(BudgetAccountRow)
_L: Final = table_of(BudgetLeaseRow)
_NATURAL: Final = ("tenant_id", "scope", "subject", "period")
_SET: Final = ("amount", "thresholds", "on_exceeded", "updated_at")


def _may_see(principal: Principal) -> ColumnElement[bool]:
    """A tenant's budgets for who runs it; for everybody else the users' that hold for them."""
    mine = _B.c.tenant_id == principal.tenant_id
    if "llm:admin" in principal.scopes:
        return mine
    return and_(mine, _B.c.scope == "user", _B.c.subject.in_((principal.user_id, EACH)))


async def seen_limits(session: AsyncSession, principal: Principal, budget_id: str | None = None) -> list[Limit]:
    """Fetch what a principal may see: all, or one."""
    query = select(_B).where(_may_see(principal)).order_by(*(_B.c[name] for name in _NATURAL))
    if budget_id is not None:
        query = query.where(_B.c.id == budget_id)
    return [limit_of(row) for row in await session.execute(query)]


async def top_accounts(
    session: AsyncSession, principal: Principal, limits: Sequence[Limit], now: datetime, most: int
) -> Sequence[Any]:
    """Fetch the accounts of the current spans that most was spent from, `most` of each limit."""
    by_period: dict[str, list[str]] = {}
    for limit in limits:
        by_period.setdefault(limit.period, []).append(limit.id)
    current = [
        and_(_A.c.budget_id.in_(ids), _A.c.span == span_at(period, now) if period != "run" else _A.c.span != "")  # type: ignore[arg-type]
        for period, ids in by_period.items()
    ]
    mine = _A.c.tenant_id == principal.tenant_id
    if "llm:admin" not in principal.scopes:
        mine = and_(mine, _A.c.subject == principal.user_id)
    place = func.row_number().over(partition_by=_A.c.budget_id, order_by=(_A.c.spent.desc(), _A.c.subject))
    placed = select(_A, place.label("place")).where(mine, or_(*current)).subquery()
    query = select(placed).where(placed.c.place <= most).order_by(placed.c.budget_id, placed.c.place)
    return (await session.execute(query)).all()


async def count_limits(session: AsyncSession, tenant_id: str) -> int:
    """Count a tenant's."""
    return int(await session.scalar(select(func.count()).where(_B.c.tenant_id == tenant_id)) or 0)


async def find_limit(session: AsyncSession, values: dict[str, Any]) -> Limit | None:
    """Fetch the one of the same tenant, scope, subject and period."""
    same = and_(*(_B.c[name] == values[name] for name in _NATURAL))
    row = (await session.execute(select(_B).where(same))).one_or_none()
    return None if row is None else limit_of(row)


async def put_limit(session: AsyncSession, values: dict[str, Any]) -> Limit:
    """Insert a limit, or change the one that is there."""
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    changed = {name: values[name] for name in _SET}
    statement = insert(_B).values(**values).on_conflict_do_update(index_elements=_NATURAL, set_=changed)
    return limit_of((await session.execute(statement.returning(_B))).one())


async def warn_anew(session: AsyncSession, budget_id: str) -> None:
    """Have thresholds told again: the limit is another one."""
    await session.execute(update(_A).where(_A.c.budget_id == budget_id).values(warned=0, forecast=False))


async def delete_limit(session: AsyncSession, tenant_id: str, budget_id: str) -> bool:
    """Delete a limit with its accounts and leases; False if there is none."""
    found = await session.execute(
        delete(_B).where(_B.c.id == budget_id, _B.c.tenant_id == tenant_id).returning(_B.c.id)
    )
    if found.one_or_none() is None:
        return False
    for table in (_A, _L):
        await session.execute(delete(table).where(table.c.budget_id == budget_id))
    return True
