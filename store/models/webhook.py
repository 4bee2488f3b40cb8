"""What must still be told to somebody else's server."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned

DUE = text("next_attempt_at IS NOT NULL")


class WebhookDeliveryRow(Owned, Base):
    """One call to be made when a run has ended; it outlives the run and its thread.

    A claim moves `next_attempt_at` beyond the lease and counts the attempt, which is the fencing token. A delivery that
    is `delivered` or `failed` has no `next_attempt_at`, and its body is dropped.
    """

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("ix_webhook_deliveries_due", "next_attempt_at", postgresql_where=DUE, sqlite_where=DUE),
        Index(None, "finished_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str] = mapped_column(index=True)
    thread_id: Mapped[str]
    url: Mapped[str]
    body: Mapped[dict[str, Any] | None]
    status: Mapped[str]
    attempts: Mapped[int]
    next_attempt_at: Mapped[datetime | None]
    answered: Mapped[int | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
