"""People, their browser sessions, and who was invited."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned


def user_key(*, primary_key: bool = False) -> Mapped[str]:
    """Make the column that ties a row to a person and lets it go with them."""
    return mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=primary_key)


class UserRow(Owned, Base):
    """A person; `owner_id` is their own id, `email` is in lower case.

    `is_superuser` belongs to fastapi-users and decides nothing here: roles do. `password_changed_at` is null for who
    never chose one.
    """

    __tablename__ = "users"
    __table_args__ = (Index(None, "tenant_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str]
    hashed_password: Mapped[str]
    is_active: Mapped[bool]
    is_superuser: Mapped[bool]
    is_verified: Mapped[bool]
    created_at: Mapped[datetime]
    password_changed_at: Mapped[datetime | None]
    last_sign_in_at: Mapped[datetime | None]


class SessionRow(Owned, Base):
    """A browser that somebody signed in with; `digest` is the SHA-256 of the cookie's value.

    `amr`, `acr` and `auth_time` say how and when the person proved who they are.
    """

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "user_id", "created_at"), Index(None, "expires_at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    user_id: Mapped[str] = user_key()
    address: Mapped[str]
    user_agent: Mapped[str]
    amr: Mapped[list[Any]]
    acr: Mapped[str]
    auth_time: Mapped[datetime]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class InviteRow(Owned, Base):
    """Leave to make an account, once; `digest` is the SHA-256 of the code in the link, `owner_id` who invited.

    `email` null: whoever has the link. `roles` are names of the tenant's roles.
    """

    __tablename__ = "invites"
    __table_args__ = (Index(None, "tenant_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    digest: Mapped[str] = mapped_column(unique=True)
    email: Mapped[str | None]
    roles: Mapped[list[Any]]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
