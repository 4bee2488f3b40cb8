"""Configured graphs, and what each was before it was changed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned


class AssistantRow(Owned, Base):
    """A graph with a configuration; `version` names the one in force. System assistants have no row."""

    __tablename__ = "assistants"
    __table_args__ = (Index(None, "tenant_id", "owner_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    graph_id: Mapped[str] = mapped_column(index=True)
    name: Mapped[str]
    description: Mapped[str | None]
    config: Mapped[dict[str, Any]]
    context: Mapped[dict[str, Any]]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    version: Mapped[int]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class AssistantVersionRow(Owned, Base):
    """One version of an assistant; rows are never changed."""

    __tablename__ = "assistant_versions"

    assistant_id: Mapped[str] = mapped_column(ForeignKey("assistants.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    graph_id: Mapped[str]
    name: Mapped[str]
    description: Mapped[str | None]
    config: Mapped[dict[str, Any]]
    context: Mapped[dict[str, Any]]
    meta: Mapped[dict[str, Any]] = mapped_column("metadata")
    created_at: Mapped[datetime]
