"""Keys that tokens are signed with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Index, text
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned

ACTIVE = text("state = 'active'")


class SigningKeyRow(Owned, Base):
    """A key: `state` is pending, active, retiring or retired. `sealed` is the private JWK, encrypted."""

    __tablename__ = "signing_keys"
    __table_args__ = (
        Index("uq_signing_keys_active", "alg", unique=True, postgresql_where=ACTIVE, sqlite_where=ACTIVE),
    )

    kid: Mapped[str] = mapped_column(primary_key=True)
    alg: Mapped[str]
    state: Mapped[str]
    public: Mapped[dict[str, Any]]
    sealed: Mapped[str | None]
    created_at: Mapped[datetime]
    activated_at: Mapped[datetime | None]
    retiring_at: Mapped[datetime | None]
    retired_at: Mapped[datetime | None]
