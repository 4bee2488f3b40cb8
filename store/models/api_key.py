"""Keys that programs ask for models with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned


class ApiKeyRow(Owned, Base):
    """One key; its secret is known to whoever made it, `digest` is the SHA-256 of it.

    `models`: the only models it may ask for; null: any. A limit that is null is none.
    """

    __tablename__ = "api_keys"
    __table_args__ = (Index(None, "tenant_id", "owner_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    prefix: Mapped[str]
    digest: Mapped[str] = mapped_column(unique=True)
    scopes: Mapped[list[Any]]
    models: Mapped[list[Any] | None]
    requests_per_minute: Mapped[int | None]
    tokens_per_minute: Mapped[int | None]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
