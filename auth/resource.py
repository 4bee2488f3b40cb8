"""The authenticator of a service whose access tokens are issued in another process."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy.orm import Session

from ..core.errors import Unauthenticated
from ..core.permissions import GRANTABLE
from ..core.types import Principal
from .issuer import audiences_at, session_cookie
from .seams import KeySource
from .verify.remote import RemoteKeys
from .verify.tokens import Verifier


class ResourceAuth:
    """The `Authenticator` of a resource server: tokens of an issuer that are meant for this very service.

    What a token may do is its scopes. That a person lost a role, or signed out, is known here when the token is over:
    ten minutes at most.

    Args:
        issuer: The authorization server.
        audience: This service's own address, for which clients ask with `resource`.
        keys: The issuer's keys; its JWKS if left out.
    """

    def __init__(self, issuer: str, *, audience: str, keys: KeySource | None = None) -> None:
        self.issuer = issuer
        self._audience = audience
        source = keys or RemoteKeys(f"{issuer}/.well-known/jwks.json")
        self._verifier = Verifier(source, revocations=_NothingKnown(), issuer=issuer)

    @property
    def cookie_name(self) -> str:
        """See `Authenticator`."""
        return session_cookie(self._audience)

    async def bearer(self, token: str, path: str) -> Principal | None:
        """See `Authenticator`."""
        try:
            claims = await self._verifier.verify(token, audiences_at(self._audience, path))
        except Unauthenticated:
            return None
        scopes = frozenset(str(claims.get("scope", "")).split()) & GRANTABLE
        return Principal(
            str(claims["sub"]), str(claims.get("tid", "default")), client_id=str(claims["client_id"]), scopes=scopes
        )

    async def cookie(self, value: str) -> Principal | None:  # noqa: ARG002 - people sign in elsewhere
        """See `Authenticator`."""
        return None

    async def lives(self, token: str) -> bool:  # noqa: ARG002 - nobody takes it back
        """See `Authenticator`."""
        return True

    async def bounded(self, principal: Principal) -> Principal:
        """See `Authenticator`; what people may do is known elsewhere."""
        return principal

    def nobody(self) -> Principal | None:
        """See `Authenticator`."""
        return None


class _NothingKnown:
    """The `Revocations` of who hears of none."""

    def revoke(self, session: Session, subjects: Collection[str]) -> None:
        """See `Revocations`; nothing is issued here."""

    def is_revoked(self, claims: Mapping[str, Any]) -> bool:  # noqa: ARG002
        """See `Revocations`."""
        return False
