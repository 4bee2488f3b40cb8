"""What is shown of the ledger and of budgets, and what a budget is made of. Money is in nano-dollars."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from ...store.texts import clean_text
from .limits import EACH, OnExceeded, Period, Scope
from .slices import MOST

GroupBy = Literal["day", "user", "key", "thread", "run", "agent", "provider", "model", "cache", "error"]


def _in_utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("no moment that can be told in UTC") from None


Name = Annotated[str, Field(max_length=200), AfterValidator(clean_text)]
Moment = Annotated[datetime, AfterValidator(_in_utc)]
"""A time without a zone is in UTC."""


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True, from_attributes=True)


class UsageFilter(BaseModel):
    """Which requests: those that began from `since` on and before `until`."""

    model_config = ConfigDict(frozen=True)

    since: Moment | None = None
    until: Moment | None = None
    request_id: Name | None = None
    user_id: Name | None = None
    key_id: Name | None = None
    thread_id: Name | None = None
    run_id: Name | None = None
    agent: Name | None = None
    provider: Name | None = None
    model: Name | None = None


class UsageTotals(_Shown):
    """What some requests used and cost.

    Attributes:
        cost: What they did cost; `saved` what caches spared.
        baseline_cost: What they would have cost at the best model.
        estimated: Requests whose tokens are a guess, because the provider told none.
    """

    requests: int = 0
    errors: int = 0
    cache_hits: int = 0
    estimated: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost: int = 0
    saved: int = 0
    baseline_cost: int = 0
    first_token_ms: float | None = None
    tokens_per_second: float | None = None


class UsageGroup(UsageTotals):
    """The same of one group; `key` has a member for each name grouped by."""

    key: dict[str, str]


class UsageReport(_Shown):
    """Totals; the groups with the highest cost first, by day if the day comes first.

    Attributes:
        truncated: Whether there are more groups.
        rows_waiting: Rows that this process has not written yet; `rows_dropped`: that it will never write.
    """

    total: UsageTotals
    groups: list[UsageGroup]
    truncated: bool = False
    rows_waiting: int = 0
    rows_dropped: int = 0


class LedgerEntry(_Shown):
    """One request."""

    id: str
    request_id: str
    user_id: str = Field(validation_alias="owner_id")
    key_id: str
    thread_id: str
    run_id: str
    agent: str
    provider: str
    model: str
    prompt_tokens: int
    cached_tokens: int
    cache_write_tokens: int
    cache_write_1h_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    usage: dict[str, Any]
    estimated: bool
    cost: int
    saved: int
    baseline_cost: int
    price_version: str
    first_token_ms: float | None
    duration_ms: float
    tokens_per_second: float | None
    attempts: int
    cache: str
    degraded: str
    error: str
    started_at: datetime


class NewBudget(BaseModel):
    """Set a limit; one of the same scope, subject and period is replaced and keeps what was spent."""

    model_config = ConfigDict(extra="forbid")

    scope: Scope
    subject: Name = Field(EACH, min_length=1, description="An id; `*`: each one that has no limit of its own")
    period: Period = Field(description="`run`: each run has the amount; `total`: for all time")
    limit: int = Field(ge=0, le=MOST, description="Nano-dollars")
    thresholds: list[int] | None = Field(
        None, max_length=10, description="Percent at which it is told; default: LLM__BUDGETS__WARN_AT"
    )
    on_exceeded: OnExceeded = "refuse"

    @field_validator("thresholds")
    @classmethod
    def _ascending(cls, value: list[int] | None) -> list[int] | None:
        if value is not None and not all(0 < each <= 100 for each in value):  # noqa: PLR2004 - percent
            raise ValueError("thresholds are percent: 1 to 100")
        return None if value is None else sorted(set(value))

    @model_validator(mode="after")
    def _whole_tenant(self) -> NewBudget:
        if self.scope == "tenant" and self.subject != EACH:
            raise ValueError("a tenant's own budget has no subject")
        return self


class BudgetAccount(_Shown):
    """How a subject stands in the current day, month or run.

    Attributes:
        reserved: What requests in flight, and processes for their next ones, hold.
        percent: How much of the limit is spent.
        runs_out_at: When the limit will be reached if spending goes on as it has; None if the period ends before.
    """

    subject: str
    span: str
    spent: int
    reserved: int
    percent: float
    warned: int
    runs_out_at: datetime | None


class Budget(_Shown):
    """A limit, and how those stand who have spent most of it."""

    id: str
    scope: Scope
    subject: str
    period: Period
    limit: int
    thresholds: Sequence[int]
    on_exceeded: OnExceeded
    resets_at: datetime | None
    accounts: list[BudgetAccount]
