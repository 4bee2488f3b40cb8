"""Whom a limit concerns, when it starts anew, and when it is told that it will not last."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.llm.accounting.limits import Account, Limit, Limits, bounds, dollars, exceeded_at, reached, span_at
from tests.llm.accounting.support import NOON, caller


def limit(scope: Any = "user", subject: str = "*", period: Any = "day", **facts: Any) -> Limit:
    values = {"amount": 1_000, "tenant_id": "default", "owner_id": "root", "thresholds": (50, 80, 95, 100), **facts}
    return Limit(id=f"{scope}-{subject}-{period}", scope=scope, subject=subject, period=period, **values)


def concerning(limits: list[Limit], **facts: str) -> set[Account]:
    return {account for _, account in Limits(limits).concerning(caller(**facts), NOON)}


def test_every_scope_concerns_its_own() -> None:
    limits = [limit(scope, period="total") for scope in ("tenant", "user", "thread", "agent", "key")]
    assert concerning(limits) == {
        Account("tenant-*-total", "default", ""),
        Account("user-*-total", "alice", ""),
    }
    found = concerning(limits, thread_id="t", agent="coder", key_id="k")
    assert {account.subject for account in found} == {"default", "alice", "t", "coder", "k"}


def test_ones_own_limit_takes_the_place_of_everybodys() -> None:
    limits = [limit(), limit(subject="alice"), limit(subject="bob"), limit(period="month")]
    assert concerning(limits) == {
        Account("user-alice-day", "alice", "2026-11-24"),
        Account("user-*-month", "alice", "2026-11"),
    }
    assert {account.limit_id for account in concerning(limits, user_id="carol")} == {"user-*-day", "user-*-month"}


def test_a_limit_for_each_run_concerns_runs_only() -> None:
    limits = [limit("thread", period="run")]
    assert concerning(limits, thread_id="t") == set()
    assert concerning(limits, thread_id="t", run_id="r") == {Account("thread-*-run", "t", "r")}


@pytest.mark.parametrize(
    ("now", "ends"),
    [
        (datetime(2026, 12, 31, 23, 59, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        (datetime(2028, 2, 1, tzinfo=UTC), datetime(2028, 3, 1, tzinfo=UTC)),
        (datetime(2026, 10, 5, tzinfo=UTC), datetime(2026, 11, 1, tzinfo=UTC)),
    ],
)
def test_months_end_where_the_next_begins(now: datetime, ends: datetime) -> None:
    assert bounds("month", now) == (datetime(now.year, now.month, 1, tzinfo=UTC), ends)
    assert span_at("month", ends) != span_at("month", ends - timedelta(microseconds=1)) == span_at("month", now)


@given(st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 - a zone is put on
def test_a_moment_is_within_its_period(moment: datetime) -> None:
    now = moment.replace(tzinfo=UTC)
    for period in ("day", "month"):
        began, ends = bounds(period, now)
        assert began <= now < ends
        assert span_at(period, began) == span_at(period, now) != span_at(period, ends)


def test_the_highest_threshold_counts() -> None:
    assert [reached(limit(), spent) for spent in (0, 499, 500, 949, 950, 1_000, 5_000)] == [0, 0, 50, 80, 95, 100, 100]
    assert reached(limit(amount=0), 0) == 100


def test_a_forecast_goes_by_what_was_spent_so_far() -> None:
    assert exceeded_at(limit(), 500, NOON) is None  # half the money at half time
    assert exceeded_at(limit(), 750, NOON) == datetime(2026, 11, 24, 16, tzinfo=UTC)
    assert exceeded_at(limit(period="total"), 999, NOON) is None
    assert exceeded_at(limit(), 400, datetime(2026, 11, 24, 0, 30, tzinfo=UTC)) is None  # too early to tell


def test_amounts_are_written_for_people() -> None:
    assert [dollars(n) for n in (0, 1, 1_500_000, 10**7, 12_340_000_000)] == [
        "$0.00",
        "$0.000000001",
        "$0.0015",
        "$0.01",
        "$12.34",
    ]
