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
    """One execution; `attempt` with `owner` is the fencing token of every write that it makes.

    `kind` is `turn` (ours: `turn_id`, `input` or `resume`, `settings`) or `graph` (the Agent Server API's: `graph_id`,
    `assistant_id`, and the request as it was accepted in `kwargs`). A pending run is due from `not_before` on. `scopes`
    is what whoever started it was allowed to do; null: everything.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index("uq_runs_running_thread", "thread_id", unique=True, postgresql_where=RUNNING, sqlite_where=RUNNING),
        Index("ix_runs_waiting", "status", "priority", "created_at", postgresql_where=WAITING, sqlite_where=WAITING),
        Index(None, "thread_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    thread_id: Mapped[str] = thread_key()
    kind: Mapped[str]
    turn_id: Mapped[str | None] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"), index=True)
    assistant_id: Mapped[str | None] = mapped_column(index=True)
    graph_id: Mapped[str | None]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    kwargs: Mapped[dict[str, Any] | None]
    multitask_strategy: Mapped[str | None]
    priority: Mapped[int]
    not_before: Mapped[datetime | None]
    resumes_run_id: Mapped[str | None]
    status: Mapped[str]
    reason: Mapped[str | None]
    error: Mapped[dict[str, Any] | None]
    input: Mapped[dict[str, Any] | None]
    resume: Mapped[dict[str, Any] | None]
    settings: Mapped[dict[str, Any]]
    scopes: Mapped[list[Any] | None]
    usage: Mapped[dict[str, Any] | None]
    attempt: Mapped[int]
    handed_back: Mapped[int]
    owner: Mapped[str | None]
    heartbeat_at: Mapped[datetime | None]
    cancel_requested: Mapped[bool]
    cancel_action: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
