"""Runs that a clock starts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned

DUE = text("next_run_at IS NOT NULL")


class CronRow(Owned, Base):
    """A schedule; each tick starts a run with the request in `payload`. Disabled ones have no `next_run_at`.

    `scopes` is what its runs are allowed to do: what whoever made it was, less what who changed it was not; null:
    everything.
    """

    __tablename__ = "crons"
    __table_args__ = (
        Index("ix_crons_due", "next_run_at", postgresql_where=DUE, sqlite_where=DUE),
        Index(None, "tenant_id", "owner_id", "created_at", "id"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    assistant_id: Mapped[str] = mapped_column(index=True)
    thread_id: Mapped[str | None] = mapped_column(ForeignKey("threads.id", ondelete="CASCADE"), index=True)
    schedule: Mapped[str]
    timezone: Mapped[str | None]
    enabled: Mapped[bool]
    end_time: Mapped[datetime | None]
    next_run_at: Mapped[datetime | None]
    on_run_completed: Mapped[str]
    payload: Mapped[dict[str, Any]]
    scopes: Mapped[list[Any] | None]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
