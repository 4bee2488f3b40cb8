"""Setting limits, and seeing how they stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import Conflict, NotFound
from ...core.types import Principal, new_id
from .budgets import SqlBudgets
from .limit_repository import (
    count_limits,
    delete_limit,
    find_limit,
    put_limit,
    seen_limits,
    top_accounts,
    warn_anew,
)
from .limits import Limit, bounds, exceeded_at
from .schemas import Budget, BudgetAccount, NewBudget

MOST_LIMITS: Final = 2_000
"""A tenant has no more: each process keeps them all in mind, and reads them anew every few seconds."""
_SHOWN: Final = 20


class BudgetService:
    """Shows, sets and deletes limits. Whoever calls has made sure that a principal who sets runs its tenant.

    Args:
        budgets: Told of changes; other processes find out by themselves.
    """

    def __init__(self, budgets: SqlBudgets) -> None:
        self._budgets = budgets
        self._database = budgets.database

    async def all(self, principal: Principal) -> list[Budget]:
        """Show the tenant's budgets, or the principal's own."""
        return await self._shown(principal, None)

    async def get(self, principal: Principal, budget_id: str) -> Budget:
        """Show one; `NotFound` if there is none that the principal may see."""
        found = await self._shown(principal, budget_id)
        if not found:
            raise NotFound(f"Budget {budget_id!r} not found")
        return found[0]

    async def put(self, principal: Principal, asked: NewBudget) -> Budget:
        """Set a limit.

        Raises:
            Conflict: The tenant has too many.
        """
        now = self._now()
        values: dict[str, Any] = asked.model_dump(exclude={"limit"})
        values |= {
            "id": new_id(),
            "amount": asked.limit,
            "thresholds": sorted(self._budgets.settings.warn_at) if asked.thresholds is None else asked.thresholds,
            "owner_id": principal.user_id,
            "tenant_id": principal.tenant_id,
            "created_at": now,
            "updated_at": now,
        }
        async with self._database.transaction() as session:
            limit = await self._put(session, values)
        self._budgets.forget(principal.tenant_id)
        return await self.get(principal, limit.id)

    async def delete(self, principal: Principal, budget_id: str) -> None:
        """Delete a limit and what was counted; `NotFound` if the tenant has none of that id."""
        async with self._database.transaction() as session:
            if not await delete_limit(session, principal.tenant_id, budget_id):
                raise NotFound(f"Budget {budget_id!r} not found")
        self._budgets.forget(principal.tenant_id)

    async def _put(self, session: AsyncSession, values: dict[str, Any]) -> Limit:
        before = await find_limit(session, values)
        if before is None and await count_limits(session, values["tenant_id"]) >= MOST_LIMITS:
            raise Conflict(f"A tenant has at most {MOST_LIMITS} budgets: set one for each with the subject '*'.")
        limit = await put_limit(session, values)
        if before is not None and (before.amount, before.thresholds) != (limit.amount, limit.thresholds):
            await warn_anew(session, limit.id)
        return limit

    async def _shown(self, principal: Principal, budget_id: str | None) -> list[Budget]:
        await self._budgets.flush()
        now = self._now()
        async with self._database.read() as session:
            limits = await seen_limits(session, principal, budget_id)
            rows = await top_accounts(session, principal, limits, now, _SHOWN) if limits else []
        return [_budget(limit, [row for row in rows if row.budget_id == limit.id], now) for limit in limits]

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._budgets.clock(), UTC)


def _budget(limit: Limit, rows: Sequence[Any], now: datetime) -> Budget:
    span = bounds(limit.period, now)
    return Budget(
        id=limit.id,
        scope=limit.scope,
        subject=limit.subject,
        period=limit.period,
        limit=limit.amount,
        thresholds=limit.thresholds,
        on_exceeded=limit.on_exceeded,
        resets_at=span[1] if span is not None else None,
        accounts=[_account(limit, row, now) for row in rows],
    )


def _account(limit: Limit, row: Any, now: datetime) -> BudgetAccount:
    return BudgetAccount(
        subject=row.subject,
        span=row.span,
        spent=row.spent,
        reserved=row.reserved,
        percent=round(100 * row.spent / limit.amount, 2) if limit.amount else 100.0,
        warned=row.warned,
        runs_out_at=exceeded_at(limit, row.spent, now) if row.spent < limit.amount else None,
    )
