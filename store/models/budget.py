"""What may be spent, what was, and what processes hold of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned


class BudgetRow(Owned, Base):
    """A limit: `amount` nano-dollars for a `subject` of a `scope` in each `period`; the subject `*` means each one."""

    __tablename__ = "budgets"
    __table_args__ = (UniqueConstraint("tenant_id", "scope", "subject", "period"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str]
    subject: Mapped[str]
    period: Mapped[str]
    amount: Mapped[int] = mapped_column(BigInteger)
    thresholds: Mapped[list[Any]]
    on_exceeded: Mapped[str]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class BudgetAccountRow(Owned, Base):
    """One subject's spending in one span of a budget: a day, a month, a run, or all time.

    `spent + reserved` never grows beyond the budget's amount by a reservation. `warned` is the highest threshold that
    was told of, `forecast` whether it was told that the period will not be long enough.
    """

    __tablename__ = "budget_accounts"

    budget_id: Mapped[str] = mapped_column(primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    span: Mapped[str] = mapped_column(primary_key=True)
    spent: Mapped[int] = mapped_column(BigInteger)
    reserved: Mapped[int] = mapped_column(BigInteger)
    warned: Mapped[int]
    forecast: Mapped[bool]
    updated_at: Mapped[datetime]


class BudgetLeaseRow(Owned, Base):
    """What one process holds of an account's `reserved`; one that is not renewed counts as spent."""

    __tablename__ = "budget_leases"

    id: Mapped[str] = mapped_column(primary_key=True)
    budget_id: Mapped[str] = mapped_column(index=True)
    subject: Mapped[str]
    span: Mapped[str]
    held: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[datetime] = mapped_column(index=True)
