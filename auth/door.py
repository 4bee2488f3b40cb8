"""The authenticator of oauth mode: browser sessions, and access tokens of our own authorization server."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from ..core.errors import Unauthenticated, Unavailable
from ..core.permissions import GRANTABLE
from ..core.types import Principal
from .issuer import audiences_at, session_cookie
from .seams import Permissions, Revocations, SignedIn


class Tokens(Protocol):
    """Checks access tokens; see `verify.tokens.Verifier`."""

    async def verify(self, token: str, audiences: Collection[str]) -> dict[str, Any]:
        """The claims of a good one; raises `Unauthenticated`."""
        ...

    def claims_of(self, token: str) -> dict[str, Any]:
        """What a token says that was good once."""
        ...


class Sessions(Protocol):
    """Checks session cookies; see `sessions.service.Sessions`."""

    async def verify(self, token: str) -> SignedIn | None:
        """The session of this cookie's value; None if it is over or never was."""
        ...


@dataclass(frozen=True, kw_only=True)
class Checks:
    """What the door asks."""

    tokens: Tokens
    sessions: Sessions
    permissions: Permissions
    revocations: Revocations


class OAuthAuth:
    """The `Authenticator` of oauth mode. It lets nobody in before `open` was called.

    Args:
        issuer: Our name, which is the audience of tokens for us too.
    """

    def __init__(self, issuer: str) -> None:
        self.issuer = issuer
        self._checks: Checks | None = None

    def open(self, checks: Checks) -> None:
        """Begin to let people in."""
        self._checks = checks

    @property
    def cookie_name(self) -> str:
        """See `Authenticator`."""
        return session_cookie(self.issuer)

    async def bearer(self, token: str, path: str) -> Principal | None:
        """See `Authenticator`. What the token may do is what it was given and its person still holds."""
        checks = self._ready()
        try:
            claims = await checks.tokens.verify(token, audiences_at(self.issuer, path))
        except Unauthenticated:
            return None
        return await principal_of(claims, checks.permissions)

    async def cookie(self, value: str) -> Principal | None:
        """See `Authenticator`."""
        checks = self._ready()
        session = await checks.sessions.verify(value)
        if session is None:
            return None
        scopes = await checks.permissions.of_user(session.user_id, session.tenant_id)
        return Principal(session.user_id, session.tenant_id, scopes=scopes, session_id=session.id)

    async def lives(self, token: str) -> bool:
        """See `Authenticator`. The token is ours: it was let in."""
        checks = self._ready()
        claims = checks.tokens.claims_of(token)
        if checks.revocations.is_revoked(claims):
            return False
        return claims["sub"] == claims["client_id"] or bool((await principal_of(claims, checks.permissions)).scopes)

    async def bounded(self, principal: Principal) -> Principal:
        """See `Authenticator`."""
        held = await self._ready().permissions.of_user(principal.user_id, principal.tenant_id)
        return principal if principal.scopes <= held else replace(principal, scopes=principal.scopes & held)

    def nobody(self) -> Principal | None:
        """See `Authenticator`."""
        return None

    def _ready(self) -> Checks:
        if self._checks is None:
            raise Unavailable("The server is still starting; try again.")
        return self._checks


async def principal_of(claims: Mapping[str, Any], permissions: Permissions) -> Principal:
    """Who a verified token stands for: a person, or a client that acts for itself."""
    subject, client, tenant = str(claims["sub"]), str(claims["client_id"]), str(claims.get("tid", "default"))
    scopes = frozenset(str(claims.get("scope", "")).split()) & GRANTABLE
    if subject != client:
        scopes &= await permissions.of_user(subject, tenant)
    return Principal(subject, tenant, client_id=client, scopes=scopes)
