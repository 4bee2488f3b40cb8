"""Folders that agents may work in."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned


class WorkspaceRow(Owned, Base):
    """A registered folder, by its real path."""

    __tablename__ = "workspaces"
    __table_args__ = (UniqueConstraint("tenant_id", "owner_id", "path"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    path: Mapped[str]
    created_at: Mapped[datetime]
