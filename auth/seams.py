"""The seams of the auth room: what its slices know of each other, and what the server knows of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol

from sqlalchemy.orm import Session
from starlette.requests import HTTPConnection

from ..core.types import Principal

PASSWORD: Final = "pwd"  # noqa: S105 - a word of RFC 8176
"""How somebody proved who they are (`amr`, RFC 8176): with a password. Other factors join the list."""
LINK: Final = "otp"
"""With a link that was sent to them, or printed where only they look."""
BASIC_ACR: Final = "1"
"""One factor (`acr`)."""


class Authenticator(Protocol):
    """Turns a credential into a principal."""

    @property
    def cookie_name(self) -> str:
        """The cookie that holds a browser's session."""
        ...

    async def bearer(self, token: str, path: str) -> Principal | None:
        """Who carries this bearer token; None if nobody, or if it is not meant for this path."""
        ...

    async def cookie(self, value: str) -> Principal | None:
        """Who carries this session cookie; None if nobody."""
        ...

    async def lives(self, token: str) -> bool:
        """Whether a bearer token that was let in has not been taken back since; that it grew old is no matter."""
        ...

    async def bounded(self, principal: Principal) -> Principal:
        """Whom an API key stands for, with what they may do still: a key outlives roles, and whoever made it."""
        ...

    def nobody(self) -> Principal | None:
        """Who somebody without a credential is; None if they may not come in."""
        ...


class Admission(Protocol):
    """Turns a whole request into a principal: what an application's own authentication is adapted to."""

    async def admit(self, connection: HTTPConnection) -> Principal:
        """Who asks; raises an error of the tree if they may not come in."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request came from, for audit, limits and mails.

    Attributes:
        address: The client's IP address.
        user_agent: As it was sent, cut to 200 characters.
        correlation_id: The request's.
        lang: The language that whoever asks reads: mails to them are in it.
    """

    address: str = ""
    user_agent: str = ""
    correlation_id: str | None = None
    lang: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """How and when a person proved who they are; it goes into sessions, codes and tokens."""

    amr: tuple[str, ...] = (PASSWORD,)
    acr: str = BASIC_ACR
    auth_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """A fact for the audit trail. Nothing in `details` may be a secret, a code, a token or a password.

    Attributes:
        type: `auth.signed_in`, `auth.sign_in_failed`, `auth.locked_out`, `auth.signed_out`, `auth.token_issued`,
            `auth.token_revoked`, `auth.token_reused`, `auth.consent_granted`, `auth.consent_revoked`,
            `auth.user_changed`, `auth.client_changed`, `auth.role_changed`, `auth.key_changed`, `auth.refused`.
        outcome: `ok`, `failed` or `denied`.
        actor: Who acted: a user's id; empty if nobody is known.
        subject: Whom or what it is about: `user:ID`, `client:ID`, `role:NAME`, `key:KID`, `session:ID`, `family:ID`.
    """

    type: str
    outcome: str = "ok"
    tenant_id: str = "default"
    actor: str = ""
    client_id: str | None = None
    subject: str | None = None
    origin: Origin = field(default_factory=Origin)
    details: Mapping[str, Any] = field(default_factory=dict)


class SignedIn(Protocol):
    """A browser session that lives."""

    @property
    def id(self) -> str:
        """Its id, which is not what the cookie holds."""
        ...

    @property
    def user_id(self) -> str:
        """Whose it is."""
        ...

    @property
    def tenant_id(self) -> str:
        """The person's tenant."""
        ...

    @property
    def proof(self) -> Proof:
        """How and when they proved who they are."""
        ...


class AuditTrail(Protocol):
    """Where facts are written down."""

    def note(self, session: Session, entry: AuditEntry) -> None:
        """Write a fact in a transaction that is under way: it stands if that does."""
        ...

    async def record(self, entry: AuditEntry) -> None:
        """Write a fact by itself: a refusal, whose transaction, if any, was rolled back. It never raises."""
        ...


class Revocations(Protocol):
    """What ends access tokens before they expire."""

    def revoke(self, session: Session, subjects: Collection[str]) -> None:
        """End, in a transaction, the tokens of these subjects that were issued until now.

        A subject is `family:ID`, `session:ID`, `user:ID`, `client:ID` or `jti:ID`. Other processes know within two
        seconds, with Redis at once.
        """
        ...

    def is_revoked(self, claims: Mapping[str, Any]) -> bool:
        """Whether claims (`fid`, `sid`, `sub`, `client_id`, `jti`, `iat`) of a verified token are of a dead one."""
        ...


class Permissions(Protocol):
    """What people may do by their roles."""

    async def of_user(self, user_id: str, tenant_id: str) -> frozenset[str]:
        """All permissions of a person, at most two seconds old; empty for who is not there or not active."""
        ...

    def read(self, session: Session, user_id: str) -> frozenset[str]:
        """The same inside a transaction, as it stands there."""
        ...


class Signer(Protocol):
    """Signs tokens with the active key."""

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Make a compact JWS (RS256) with the active key's `kid` and this `typ`. It does not wait for anything."""
        ...


class KeySource(Protocol):
    """Public keys by their id."""

    async def find(self, kid: str) -> Any | None:
        """A joserfc key that tokens may be verified with now; None if there is none of this id."""
        ...


class Mailer(Protocol):
    """Sends mails."""

    async def send(self, *, to: str, subject: str, text: str) -> None:
        """Send a plain text; raises `Unavailable` if the server does not take it."""
        ...
