"""The event log's truth."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned, thread_key


class RunEventRow(Owned, Base):
    """One record. `seq` counts from 1 in its thread, without gaps; rows are never changed."""

    __tablename__ = "run_events"
    __table_args__ = (Index(None, "run_id", "seq"),)

    thread_id: Mapped[str] = thread_key(primary_key=True)
    seq: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    run_id: Mapped[str | None]
    attempt: Mapped[int]
    type: Mapped[str]
    data: Mapped[dict[str, Any]]
    at: Mapped[datetime]
