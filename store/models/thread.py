"""Conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned

EXPIRING = text("expires_at IS NOT NULL")


class ThreadRow(Owned, Base):
    """A conversation; `epoch`, `last_seq` and `trimmed_seq` belong to its event log.

    One that the Agent Server API made has no workspace. `interrupts` are what its newest run asks, by task;
    `ttl` is `{"strategy": "delete" | "keep_latest", "ttl": minutes}`, and `expires_at` follows from it.
    """

    __tablename__ = "threads"
    __table_args__ = (
        Index(None, "tenant_id", "owner_id", "updated_at", "id"),
        Index("ix_threads_expiring", "expires_at", postgresql_where=EXPIRING, sqlite_where=EXPIRING),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str | None] = mapped_column(ForeignKey("workspaces.id"))
    title: Mapped[str | None]
    status: Mapped[str]
    agent: Mapped[str | None]
    epoch: Mapped[str]
    last_seq: Mapped[int]
    trimmed_seq: Mapped[int]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    created_at: Mapped[datetime]
    config: Mapped[dict[str, Any]]
    interrupts: Mapped[dict[str, Any]]
    error: Mapped[dict[str, Any] | None]
    ttl: Mapped[dict[str, Any] | None]
    expires_at: Mapped[datetime | None]
    state_updated_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
