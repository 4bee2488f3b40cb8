"""What a client says about crons, and what a cron looks like to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ...store.models import CronRow
from ...store.texts import clean_text
from ..agent_runs.schemas import RunRequest
from .schedule import LONGEST

Completion = Literal["delete", "keep"]
SortBy = Literal["cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date", "end_time"]
CronField = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "user_id",
    "end_time",
    "schedule",
    "timezone",
    "payload",
    "next_run_date",
    "metadata",
    "on_run_completed",
    "enabled",
    "created_at",
    "updated_at",
]


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("this time lies outside of the calendar") from exc


Time = Annotated[datetime, AfterValidator(_aware)]
Schedule = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(clean_text)]
Zone = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(clean_text)]


class NewCron(RunRequest):
    """A cron to be made: the run of each tick, and when."""

    schedule: Schedule
    timezone: Zone | None = None
    end_time: Time | None = None
    enabled: bool = True
    on_run_completed: Completion = "delete"


class CronChange(BaseModel):
    """What is to be different about a cron; `null` only takes away an `end_time`."""

    model_config = ConfigDict(extra="ignore")

    schedule: Schedule = ""
    timezone: Zone = ""
    end_time: Time | None = None
    enabled: bool = True
    on_run_completed: Completion = "delete"
    input: Any = None
    metadata: dict[str, Any] = {}
    config: dict[str, Any] = {}
    context: dict[str, Any] = {}
    webhook: str = ""
    interrupt_before: Literal["*"] | list[str] = []
    interrupt_after: Literal["*"] | list[str] = []
    stream_mode: str | list[str] = []
    stream_subgraphs: bool = False
    stream_resumable: bool = False
    durability: str = ""
    multitask_strategy: str = ""

    @property
    def sent(self) -> dict[str, Any]:
        """The fields that were sent."""
        return {name: getattr(self, name) for name in self.model_fields_set}


class CronFilter(BaseModel):
    """Which crons are meant."""

    model_config = ConfigDict(extra="ignore")

    assistant_id: str | None = Field(None, max_length=256)
    thread_id: UUID | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] | None = None


class CronSearch(CronFilter):
    """Which page of them, and what of each."""

    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=2**31 - 1)
    sort_by: SortBy = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: list[CronField] | None = None


class Cron(BaseModel):
    """A cron on the wire."""

    model_config = ConfigDict(frozen=True)

    cron_id: str
    assistant_id: str
    thread_id: str | None
    user_id: str
    end_time: datetime | None
    schedule: str
    timezone: str | None
    payload: dict[str, Any]
    next_run_date: datetime | None
    metadata: dict[str, Any]
    on_run_completed: Completion | None
    enabled: bool
    created_at: datetime
    updated_at: datetime

    @model_validator(mode="before")
    @classmethod
    def _of_row(cls, row: Any) -> Any:
        if not isinstance(row, CronRow):
            return row
        told = {name: getattr(row, name) for name in cls.model_fields if hasattr(row, name) and name != "metadata"}
        return told | {
            "cron_id": row.id,
            "user_id": row.owner_id,
            "next_run_date": row.next_run_at,
            "metadata": row.meta,
            "on_run_completed": row.on_run_completed if row.thread_id is None else None,
        }
