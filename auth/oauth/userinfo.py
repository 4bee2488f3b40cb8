"""What an application that signs people in may learn about them (OpenID Connect Core, 5.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.errors import Forbidden, Unauthenticated
from ...store.engine import Database
from ...store.models import OAuthClientRow, UserRow
from ..verify.tokens import InvalidToken, Verifier


async def userinfo(database: Database, verifier: Verifier, issuer: str, token: str) -> dict[str, Any]:
    """Say who somebody is, as far as the scopes of the access token go.

    Raises:
        Unauthenticated: The token is none of ours, over, or for somebody who is not there any more.
        Forbidden: It was not issued to sign somebody in.
        Unavailable: There is no key to tell with.
    """
    claims = await verifier.verify(token, {issuer})
    scopes = set(str(claims.get("scope", "")).split())
    if "openid" not in scopes or claims["sub"] == claims["client_id"]:
        raise Forbidden("This needs the scope openid.", code="insufficient_scope")
    async with database.read() as session:
        user = await session.get(UserRow, claims["sub"])
        client = await session.get(OAuthClientRow, claims["client_id"])
    if user is None or not user.is_active or client is None or client.disabled_at is not None:
        raise InvalidToken("The access token is over.")
    return _claims(user, scopes)


def challenge(error: Unauthenticated | Forbidden) -> Mapping[str, str]:
    """The header that goes with a refusal (RFC 6750)."""
    told = 'Bearer realm="codelab"'
    if error.code in {"invalid_token", "insufficient_scope"}:
        told += f', error="{error.code}", error_description="{error.message}"'
    return {"www-authenticate": told + ', scope="openid"' if error.code == "insufficient_scope" else told}


def _claims(user: UserRow, scopes: set[str]) -> dict[str, Any]:
    claims: dict[str, Any] = {"sub": user.id}
    if "profile" in scopes:
        claims["name"] = user.name
    if "email" in scopes:
        claims |= {"email": user.email, "email_verified": user.is_verified}
    return claims
