"""Executions of the graph. A pending row is the queue entry."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned, thread_key

RUNNING = text("status = 'running'")
WAITING = text("status IN ('pending', 'running')")


class RunRow(Owned, Base):
    """One execution; `attempt` with `owner` is the fencing token of every write that it makes."""

    __tablename__ = "runs"
    __table_args__ = (
        Index("uq_runs_running_thread", "thread_id", unique=True, postgresql_where=RUNNING, sqlite_where=RUNNING),
        Index("ix_runs_waiting", "status", "created_at", postgresql_where=WAITING, sqlite_where=WAITING),
        Index(None, "thread_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    thread_id: Mapped[str] = thread_key()
    turn_id: Mapped[str] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"), index=True)
    resumes_run_id: Mapped[str | None]
    status: Mapped[str]
    reason: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    input: Mapped[dict[str, Any] | None]
    resume: Mapped[dict[str, Any] | None]
    settings: Mapped[dict[str, Any]]
    usage: Mapped[dict[str, Any] | None]
    attempt: Mapped[int]
    handed_back: Mapped[int]
    owner: Mapped[str | None]
    heartbeat_at: Mapped[datetime | None]
    cancel_requested: Mapped[bool]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
