"""Clients of the authorization server, and what it issued."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned
from .user import user_key


def client_key(*, primary_key: bool = False) -> Mapped[str]:
    """Make the column that ties a row to a client and lets it go with it."""
    return mapped_column(ForeignKey("oauth_clients.id", ondelete="CASCADE"), primary_key=primary_key)


class OAuthClientRow(Owned, Base):
    """A program that gets tokens; `id` is its `client_id`, `owner_id` who registered it.

    `secret_digest` is the SHA-256 of its secret; while a secret is replaced, the old one lives on in
    `old_secret_digest` until `old_secret_until`. `scopes` is all it may ask for, `audiences` which resources besides
    this service itself. A first-party client's scopes are not asked about.
    """

    __tablename__ = "oauth_clients"
    __table_args__ = (Index(None, "tenant_id", "created_at", "id"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    auth_method: Mapped[str]
    secret_digest: Mapped[str | None]
    old_secret_digest: Mapped[str | None]
    old_secret_until: Mapped[datetime | None]
    jwks: Mapped[dict[str, Any] | None]
    redirect_uris: Mapped[list[Any]]
    grant_types: Mapped[list[Any]]
    scopes: Mapped[list[Any]]
    audiences: Mapped[list[Any]]
    first_party: Mapped[bool]
    dynamic: Mapped[bool]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]


class TokenFamilyRow(Owned, Base):
    """All tokens that go back to one yes of one person to one client; `owner_id` is the person.

    No rotation moves `expires_at`. `scope` is words with spaces between; `resource` null: this service.
    """

    __tablename__ = "token_families"
    __table_args__ = (Index(None, "user_id", "client_id"), Index(None, "client_id"), Index(None, "expires_at"))

    id: Mapped[str] = mapped_column(primary_key=True)
    client_id: Mapped[str] = client_key()
    user_id: Mapped[str] = user_key()
    session_id: Mapped[str | None]
    scope: Mapped[str]
    resource: Mapped[str | None]
    amr: Mapped[list[Any]]
    acr: Mapped[str]
    auth_time: Mapped[datetime]
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    reason: Mapped[str | None]


class RefreshTokenRow(Owned, Base):
    """A refresh token, good once; `digest` is its SHA-256."""

    __tablename__ = "refresh_tokens"
    __table_args__ = (Index(None, "family_id"), Index(None, "expires_at"))

    digest: Mapped[str] = mapped_column(primary_key=True)
    family_id: Mapped[str] = mapped_column(ForeignKey("token_families.id", ondelete="CASCADE"))
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class AuthorizationCodeRow(Owned, Base):
    """An authorization code, good once; `digest` is its SHA-256. Its tokens will be the family `family_id`."""

    __tablename__ = "authorization_codes"
    __table_args__ = (Index(None, "expires_at"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    family_id: Mapped[str]
    client_id: Mapped[str] = client_key()
    user_id: Mapped[str] = user_key()
    session_id: Mapped[str | None]
    redirect_uri: Mapped[str]
    scope: Mapped[str]
    resource: Mapped[str | None]
    nonce: Mapped[str | None]
    code_challenge: Mapped[str]
    amr: Mapped[list[Any]]
    acr: Mapped[str]
    auth_time: Mapped[datetime]
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class DeviceCodeRow(Owned, Base):
    """A device that waits for somebody's yes; `digest` and `user_code` are SHA-256 of the two codes.

    `approved` null: nobody has decided. Who did is in `user_id`, with how they had signed in.
    """

    __tablename__ = "device_codes"
    __table_args__ = (Index(None, "expires_at"),)

    digest: Mapped[str] = mapped_column(primary_key=True)
    user_code: Mapped[str] = mapped_column(unique=True)
    client_id: Mapped[str] = client_key()
    scope: Mapped[str]
    resource: Mapped[str | None]
    interval_s: Mapped[int]
    approved: Mapped[bool | None]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    session_id: Mapped[str | None]
    amr: Mapped[list[Any]]
    acr: Mapped[str | None]
    auth_time: Mapped[datetime | None]
    created_at: Mapped[datetime]
    polled_at: Mapped[datetime | None]
    decided_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ConsentRow(Owned, Base):
    """What a person has said yes to for a client; more than this is asked about again. `owner_id` is the person."""

    __tablename__ = "consents"

    user_id: Mapped[str] = user_key(primary_key=True)
    client_id: Mapped[str] = client_key(primary_key=True)
    scopes: Mapped[list[Any]]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class UsedAssertionRow(Owned, Base):
    """A client's signed assertion that was used: it is good once."""

    __tablename__ = "used_assertions"
    __table_args__ = (Index(None, "expires_at"),)

    client_id: Mapped[str] = client_key(primary_key=True)
    jti: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime]


class RevocationRow(Owned, Base):
    """Access tokens of a subject that were issued until `revoked_at` are dead; kept until they have expired.

    `subject` is `kind:id`: `family`, `session`, `user`, `client` or `jti`.
    """

    __tablename__ = "revocations"
    __table_args__ = (Index(None, "revoked_at"), Index(None, "expires_at"))

    subject: Mapped[str] = mapped_column(primary_key=True)
    revoked_at: Mapped[datetime]
    expires_at: Mapped[datetime]
