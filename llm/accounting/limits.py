"""Limits and whom they concern. Pure: no clock, no database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NamedTuple

from ..chat import Caller

Scope = Literal["tenant", "user", "thread", "agent", "key"]
Period = Literal["day", "month", "run", "total"]
OnExceeded = Literal["refuse", "cheaper"]
EACH: Final = "*"
"""The subject of a limit that holds for each one who has none of its own."""
_EARLIEST: Final = 0.05
"""How much of a period must be over before its end is guessed at."""

_SUBJECTS: Final[dict[Scope, Callable[[Caller], str]]] = {
    "tenant": lambda caller: caller.tenant_id,
    "user": lambda caller: caller.user_id,
    "thread": lambda caller: caller.thread_id,
    "agent": lambda caller: caller.agent,
    "key": lambda caller: caller.key_id,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What may be spent.

    Attributes:
        subject: Whose: an id, or `*` for each one.
        amount: Nano-dollars in each period.
        thresholds: Percent at which somebody is told, ascending.
        on_exceeded: Whether a request beyond it is refused, or tried on a cheaper model first.
    """

    id: str
    tenant_id: str
    owner_id: str
    scope: Scope
    subject: str
    period: Period
    amount: int
    thresholds: tuple[int, ...] = ()
    on_exceeded: OnExceeded = "refuse"


class Account(NamedTuple):
    """Where a subject's spending in one span of a limit is counted."""

    limit_id: str
    subject: str
    span: str


class Limits:
    """All limits of a tenant.

    Args:
        limits: In any order.
    """

    def __init__(self, limits: Iterable[Limit]) -> None:
        self._by: dict[tuple[Scope, Period], dict[str, Limit]] = {}
        for limit in limits:
            self._by.setdefault((limit.scope, limit.period), {})[limit.subject] = limit

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._by)

    def __eq__(self, other: object) -> bool:
        """Whether the same limits stand in both."""
        return isinstance(other, Limits) and self._by == other._by

    __hash__ = None  # type: ignore[assignment]

    def concerning(self, caller: Caller, now: datetime) -> Iterator[tuple[Limit, Account]]:
        """Name the limits that a request counts against, with the account in each."""
        for (scope, period), named in self._by.items():
            subject = _SUBJECTS[scope](caller)
            limit = named.get(subject) or named.get(EACH)
            span = caller.run_id if period == "run" else span_at(period, now)
            if subject and limit is not None and (span or period == "total"):
                yield limit, Account(limit.id, subject, span)


def span_at(period: Period, now: datetime) -> str:
    """Name the day or month of a moment, in UTC; everything else is one span."""
    return {"day": now.strftime("%Y-%m-%d"), "month": now.strftime("%Y-%m")}.get(period, "")


def bounds(period: Period, now: datetime) -> tuple[datetime, datetime] | None:
    """Tell when the current day or month began and when it ends; None for what has no end by the clock."""
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    if period == "day":
        return midnight, midnight + timedelta(days=1)
    if period == "month":
        first = midnight.replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)
    return None


def reached(limit: Limit, spent: int) -> int:
    """Tell the highest threshold that spending has reached; 0 if none."""
    return max((each for each in limit.thresholds if spent * 100 >= each * limit.amount), default=0)


def exceeded_at(limit: Limit, spent: int, now: datetime) -> datetime | None:
    """Tell when the limit will be reached if spending goes on as it has, if that is before the period ends."""
    span = bounds(limit.period, now)
    if span is None or spent <= 0:
        return None
    began, ends = span
    elapsed = (now - began) / (ends - began)
    if elapsed < _EARLIEST or spent <= elapsed * limit.amount:
        return None
    return began + (now - began) * (limit.amount / spent)


def dollars(amount: int) -> str:
    """Write nano-dollars for people."""
    return f"${amount / 1e9:.2f}" if amount >= 10**7 or not amount else f"${amount / 1e9:.9f}".rstrip("0")
