"""Conversations."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned


class ThreadRow(Owned, Base):
    """A conversation; `epoch` and `last_seq` belong to its event log."""

    __tablename__ = "threads"
    __table_args__ = (Index(None, "tenant_id", "owner_id", "updated_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    workspace_id: Mapped[str] = mapped_column(ForeignKey("workspaces.id"))
    title: Mapped[str | None]
    status: Mapped[str]
    agent: Mapped[str | None]
    epoch: Mapped[str]
    last_seq: Mapped[int]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
