"""Rows of budgets, their accounts and leases.

Whoever changes several accounts in one transaction goes by their keys' order, and takes an account before its lease:
two processes never wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import BigInteger, ColumnElement, String, and_, bindparam, delete, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...store.models import BudgetAccountRow, BudgetLeaseRow, BudgetRow
from ...store.models.base import UtcDateTime, table_of
from .limits import Account, Limit
from .slices import Slice

_B: Final = table_of(BudgetRow)
_A: Final = table_of(BudgetAccountRow)
_L: Final = table_of(BudgetLeaseRow)

# The one statement that keeps a limit: it makes the account if there is none, and does nothing where there is no room.
_RESERVE: Final = text("""
INSERT INTO budget_accounts
    (budget_id, subject, span, spent, reserved, warned, forecast, updated_at, owner_id, tenant_id)
SELECT :budget, :subject, :span, 0, :amount, 0, false, :now, :owner, :tenant
    WHERE :amount <= (SELECT amount FROM budgets WHERE id = :budget)
ON CONFLICT (budget_id, subject, span) DO UPDATE
    SET reserved = budget_accounts.reserved + excluded.reserved, updated_at = excluded.updated_at
    WHERE budget_accounts.spent + budget_accounts.reserved + excluded.reserved
        <= (SELECT amount FROM budgets WHERE id = excluded.budget_id)
RETURNING spent, reserved
""").bindparams(
    bindparam("amount", type_=BigInteger),
    bindparam("now", type_=UtcDateTime()),
    *(bindparam(name, type_=String) for name in ("budget", "subject", "span", "owner", "tenant")),
)


class State(NamedTuple):
    """How an account stands; `amount` is None when the budget is gone."""

    spent: int
    reserved: int
    amount: int | None

    @property
    def rest(self) -> int:
        """What is left for everybody."""
        return (self.amount or 0) - self.spent - self.reserved


class Told(NamedTuple):
    """How an account stands after something was written, and what of it was told."""

    spent: int
    reserved: int
    warned: int
    forecast: bool


@dataclass(frozen=True, slots=True)
class Part:
    """What is to be written of one slice: what was spent of what it held, what beyond it, what it gives back."""

    slice: Slice
    used: int
    over: int
    back: int


class LeaseLost(Exception):  # noqa: N818 - an answer among ourselves, never told to a client
    """A lease was not renewed in time, and somebody else counted it as spent."""

    def __init__(self, lost: Slice) -> None:
        super().__init__(lost.account)
        self.slice = lost


def _at(account: Account) -> ColumnElement[bool]:
    return and_(_A.c.budget_id == account.limit_id, _A.c.subject == account.subject, _A.c.span == account.span)


def limit_of(row: Any) -> Limit:
    """Read a limit."""
    return Limit(
        id=row.id,
        tenant_id=row.tenant_id,
        owner_id=row.owner_id,
        scope=row.scope,
        subject=row.subject,
        period=row.period,
        amount=row.amount,
        thresholds=tuple(row.thresholds),
        on_exceeded=row.on_exceeded,
    )


async def limits_of(session: AsyncSession, tenants: Collection[str]) -> dict[str, list[Limit]]:
    """Fetch the limits of some tenants."""
    found: dict[str, list[Limit]] = {tenant: [] for tenant in tenants}
    for row in await session.execute(select(_B).where(_B.c.tenant_id.in_(tenants))):
        found[row.tenant_id].append(limit_of(row))
    return found


async def reserve(session: AsyncSession, part: Slice, amount: int, now: datetime) -> State | None:
    """Reserve `amount` of an account; None where there is no room, or no such budget any more."""
    limit = part.limit
    values = {
        "budget": limit.id,
        "subject": part.account.subject,
        "span": part.account.span,
        "amount": amount,
        "now": now,
        "owner": part.account.subject if limit.scope == "user" else limit.owner_id,
        "tenant": limit.tenant_id,
    }
    row = (await session.execute(_RESERVE, values)).one_or_none()
    return None if row is None else State(row.spent, row.reserved, limit.amount)


async def state_of(session: AsyncSession, account: Account) -> State:
    """Look at an account; one that nobody has spent from stands at nothing."""
    query = select(_B.c.amount, _A.c.spent, _A.c.reserved)
    joined = query.select_from(_B.outerjoin(_A, and_(_A.c.budget_id == _B.c.id, _at(account))))
    row = (await session.execute(joined.where(_B.c.id == account.limit_id))).one_or_none()
    return State(0, 0, None) if row is None else State(row.spent or 0, row.reserved or 0, row.amount)


async def hold(session: AsyncSession, part: Slice, lease: str, amount: int, expires: datetime) -> None:
    """Write down that a process holds more of an account; `LeaseLost` if it was taken for dead meanwhile."""
    if part.lease is None:
        limit, account = part.limit, part.account
        values = {"id": lease, "budget_id": limit.id, "subject": account.subject, "span": account.span, "held": amount}
        whose = {"owner_id": limit.owner_id, "tenant_id": limit.tenant_id}
        await session.execute(_L.insert().values(**values, **whose, expires_at=expires))
        return
    more = update(_L).where(_L.c.id == part.lease).values(held=_L.c.held + amount, expires_at=expires)
    if not _rows(await session.execute(more)):
        raise LeaseLost(part)


async def write(session: AsyncSession, part: Part, now: datetime) -> Told | None:
    """Write what became of a slice; None when its budget is gone. `LeaseLost` as `hold`."""
    mine = part.slice
    gone = part.used + part.back
    change = (
        update(_A)
        .where(_at(mine.account))
        .values(spent=_A.c.spent + part.used + part.over, reserved=_A.c.reserved - gone, updated_at=now)
        .returning(_A.c.spent, _A.c.reserved, _A.c.warned, _A.c.forecast)
    )
    row = (await session.execute(change)).one_or_none()
    if row is None:
        return None
    if gone:
        less = update(_L).where(_L.c.id == mine.lease).values(held=_L.c.held - gone)
        if not _rows(await session.execute(less)):
            raise LeaseLost(mine)
    return Told(row.spent, row.reserved, row.warned, bool(row.forecast))


async def drop_leases(session: AsyncSession, leases: Sequence[str]) -> None:
    """Forget leases that hold nothing any more."""
    await session.execute(delete(_L).where(_L.c.id.in_(leases)))


async def renew(session: AsyncSession, leases: Sequence[str], expires: datetime) -> None:
    """Say that the holder of these is alive."""
    await session.execute(update(_L).where(_L.c.id.in_(leases)).values(expires_at=expires))


async def expired(session: AsyncSession, now: datetime, limit: int) -> Sequence[tuple[str, Account]]:
    """Find leases of the dead."""
    query = select(_L.c.id, _L.c.budget_id, _L.c.subject, _L.c.span).where(_L.c.expires_at < now).limit(limit)
    return [(row.id, Account(row.budget_id, row.subject, row.span)) for row in await session.execute(query)]


async def bury(session: AsyncSession, lease: str, account: Account, now: datetime) -> int:
    """Count what a dead process held as spent; how much, 0 if somebody else did or it lives after all."""
    await session.execute(select(_A.c.spent).where(_at(account)).with_for_update())
    taken = delete(_L).where(_L.c.id == lease, _L.c.expires_at < now).returning(_L.c.held)
    held = (await session.execute(taken)).scalar_one_or_none()
    if held:
        values = {"spent": _A.c.spent + held, "reserved": _A.c.reserved - held, "updated_at": now}
        await session.execute(update(_A).where(_at(account)).values(**values))
    return int(held or 0)


async def mark_warned(session: AsyncSession, account: Account, threshold: int) -> bool:
    """Note that a threshold is told; False if it was already."""
    change = update(_A).where(_at(account), _A.c.warned < threshold).values(warned=threshold)
    return bool(_rows(await session.execute(change)))


async def mark_forecast(session: AsyncSession, account: Account) -> bool:
    """Note that a forecast is told; False if one was already."""
    change = update(_A).where(_at(account), _A.c.forecast.is_(False)).values(forecast=True)
    return bool(_rows(await session.execute(change)))


async def forget_spans(session: AsyncSession, before: datetime) -> int:
    """Delete accounts of days, months and runs that are long over, and those of budgets that are gone; how many."""
    lasting = select(_B.c.id).where(_B.c.period == "total")
    known = select(_B.c.id)
    over = and_(_A.c.updated_at < before, _A.c.budget_id.not_in(lasting))
    return _rows(await session.execute(delete(_A).where(or_(over, _A.c.budget_id.not_in(known)))))


def sorted_by_account(parts: Iterable[Part]) -> list[Part]:
    """Put what is to be written into the order in which rows are locked."""
    return sorted(parts, key=lambda part: part.slice.account)


def _rows(result: Any) -> int:
    return int(result.rowcount)
