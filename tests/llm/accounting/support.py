"""A clock to be moved, limits to be set, accounts to be looked at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select

from codelab.core.events import DomainEvent, EventBus
from codelab.core.settings_llm import BudgetSettings
from codelab.core.types import new_id, utc_now
from codelab.llm.accounting.budgets import SqlBudgets
from codelab.llm.chat import Caller
from codelab.store.engine import Database
from codelab.store.models import BudgetAccountRow, BudgetLeaseRow, BudgetRow

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@dataclass
class Clock:
    """Says what it is told to say."""

    at: datetime = NOON

    def __call__(self) -> float:
        return self.at.timestamp()


def caller(**facts: str) -> Caller:
    return Caller(**{"user_id": "alice", **facts})


async def set_limit(database: Database, amount: int, scope: str = "user", **facts: Any) -> str:
    now = utc_now()
    values = {"subject": "*", "period": "total", "thresholds": [], "on_exceeded": "refuse", **facts}
    row = BudgetRow(id=new_id(), scope=scope, amount=amount, created_at=now, updated_at=now, **_OWNED, **values)
    async with database.transaction() as session:
        session.add(row)
    return row.id


_OWNED = {"owner_id": "root", "tenant_id": "default"}


async def accounts(database: Database) -> dict[tuple[str, str, str], tuple[int, int]]:
    """Spent and reserved of each account."""
    async with database.read() as session:
        rows = await session.scalars(select(BudgetAccountRow))
        return {(row.budget_id, row.subject, row.span): (row.spent, row.reserved) for row in rows}


async def totals(database: Database) -> tuple[int, int]:
    """Spent and reserved of all accounts."""
    found = (await accounts(database)).values()
    return sum(spent for spent, _ in found), sum(reserved for _, reserved in found)


async def leases(database: Database) -> int:
    """How many leases there are, whatever they hold."""
    async with database.read() as session:
        return int((await session.scalar(select(func.count()).select_from(BudgetLeaseRow))) or 0)


async def leased(database: Database) -> int:
    """What leases say is held."""
    async with database.read() as session:
        return int((await session.scalar(select(func.sum(BudgetLeaseRow.held)))) or 0)


class Told:
    """A bus's only subscriber."""

    def __init__(self, bus: EventBus) -> None:
        self.events: list[Any] = []
        bus.subscribe(self._note)

    async def _note(self, event: DomainEvent) -> None:
        self.events.append(event)


@asynccontextmanager
async def budgets_of(database: Database, **options: Any) -> AsyncIterator[SqlBudgets]:
    """Budgets of one process."""
    bus, clock = options.pop("bus", EventBus()), options.pop("clock", Clock())
    budgets = SqlBudgets(database, BudgetSettings(**options), bus, clock)
    async with budgets:
        yield budgets


async def kill(budgets: SqlBudgets) -> None:
    """End a process's budgets as a kill would: nothing is written any more."""
    task = budgets._teller._task
    if task is not None:
        task.cancel()


async def until(holds: Callable[[], bool]) -> None:
    """Wait for a task that nobody can be awaited for."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.005)
