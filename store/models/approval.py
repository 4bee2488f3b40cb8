"""Tool calls that a person must decide."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned, thread_key

PENDING = text("status = 'pending'")


class ApprovalRow(Owned, Base):
    """One call of one interrupt: what was asked, and who answered what and when."""

    __tablename__ = "approvals"
    __table_args__ = (
        UniqueConstraint("thread_id", "interrupt_id", "tool_call_id"),
        Index("ix_approvals_pending", "expires_at", postgresql_where=PENDING, sqlite_where=PENDING),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    thread_id: Mapped[str] = thread_key()
    turn_id: Mapped[str] = mapped_column(ForeignKey("turns.id", ondelete="CASCADE"), index=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    interrupt_id: Mapped[str]
    tool_call_id: Mapped[str]
    position: Mapped[int]
    kind: Mapped[str]
    agent: Mapped[str | None]
    tool: Mapped[str]
    args: Mapped[dict[str, Any]]
    edited_args: Mapped[dict[str, Any] | None]
    allowed: Mapped[list[Any]]
    description: Mapped[str | None]
    risk: Mapped[str]
    reason: Mapped[str | None]
    preview: Mapped[dict[str, Any] | None]
    policy_version: Mapped[str | None]
    status: Mapped[str]
    decision: Mapped[str | None]
    message: Mapped[str | None]
    decided_by: Mapped[str | None]
    decided_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
