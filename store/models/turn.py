"""From a person's message to the agent's rest."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned, thread_key


class TurnRow(Owned, Base):
    """One turn; snapshots, limits and the policy pin belong to it."""

    __tablename__ = "turns"
    __table_args__ = (Index(None, "thread_id", "created_at"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    thread_id: Mapped[str] = thread_key()
    message_id: Mapped[str]
    agent: Mapped[str | None]
    approval_mode: Mapped[str]
    policy: Mapped[dict[str, Any] | None]
    status: Mapped[str]
    snapshot_before: Mapped[str | None]
    snapshot_after: Mapped[str | None]
    undone_at: Mapped[datetime | None]
    usage: Mapped[dict[str, Any] | None]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
