"""What happened around sign-in, tokens and roles."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned


class AuditRow(Owned, Base):
    """One fact, never changed; `owner_id` is who acted, or empty. `details` holds no secret."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "tenant_id", "at", "id"),
        Index(None, "tenant_id", "owner_id", "at"),
        Index(None, "at"),
    )

    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    type: Mapped[str]
    outcome: Mapped[str]
    client_id: Mapped[str | None]
    subject: Mapped[str | None]
    address: Mapped[str | None]
    correlation_id: Mapped[str | None]
    details: Mapped[dict[str, Any]]
