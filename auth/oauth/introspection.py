"""Introspection (RFC 7662): a service asks what a token that it was shown is worth now."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidRequestError
from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from ...store.models import RefreshTokenRow, TokenFamilyRow
from .assertions import METHOD
from .client import Client
from .families import find_refresh, held_scope, reason_to_end
from .requests import OAuthRequest
from .secrets import REFRESH
from .server import Server

METHODS: Final = ("client_secret_basic", "client_secret_post", METHOD)
"""How a client may authenticate here: whoever has no secret could be anybody who found a token."""
_TOLD: Final = ("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "tid", "amr", "acr", "auth_time")


class Introspection(IntrospectionEndpoint):
    """Tells the client that a token was issued to, or the service that it is meant for; all others that it is dead."""

    server: Server

    def authenticate_endpoint_client(self, request: OAuthRequest) -> Client:
        """See `TokenEndpoint`."""
        return self.server.authenticate_client(request, METHODS)

    def authenticate_token(self, request: OAuthRequest, client: Client) -> Mapping[str, Any] | None:
        """See `IntrospectionEndpoint`. What comes of it is the answer."""
        token = request.get("token")
        if token is None:
            raise InvalidRequestError("Missing token.")
        if token.startswith(REFRESH):
            return self._refresh(token, client)
        claims = request.claims
        return self._access(claims) if claims is not None and _concerns(claims, client) else None

    def create_introspection_payload(self, token: Mapping[str, Any] | None) -> dict[str, Any]:
        """See `IntrospectionEndpoint`."""
        return {"active": False} if token is None else {"active": True, **token}

    def _access(self, claims: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a token whose signature and age are good is worth: whom it stands for may have lost something since."""
        scope = str(claims.get("scope", ""))
        holder = self.server.query_client(claims["client_id"])
        if holder is None:
            return None
        if claims["sub"] != claims["client_id"]:
            family = self.server.session.get(TokenFamilyRow, str(claims.get("fid", "")))
            if family is None or self._is_over(family):
                return None
            scope = held_scope(self.server, family.user_id, scope)
        told = {name: claims[name] for name in _TOLD if name in claims}
        return {**told, "scope": scope, "token_type": "Bearer"}

    def _refresh(self, token: str, client: Client) -> dict[str, Any] | None:
        found = find_refresh(self.server.session, token)
        if found is None or found[1].client_id != client.id or found[0].used_at is not None:
            return None
        row, family = found
        if row.expires_at <= self.server.now or self._is_over(family):
            return None
        return self._told(row, family)

    def _told(self, row: RefreshTokenRow, family: TokenFamilyRow) -> dict[str, Any]:
        return {
            "iss": self.server.parts.issuer,
            "sub": family.user_id,
            "client_id": family.client_id,
            "scope": family.scope,
            "iat": _seconds(row.issued_at),
            "exp": _seconds(row.expires_at),
            "token_type": "refresh_token",
        }

    def _is_over(self, family: TokenFamilyRow) -> bool:
        if family.revoked_at is not None or family.expires_at <= self.server.now:
            return True
        reason = reason_to_end(self.server, user_id=family.user_id, scope="", since=family.created_at)
        return reason is not None


def _concerns(claims: Mapping[str, Any], client: Client) -> bool:
    audience = claims["aud"]
    named = {audience} if isinstance(audience, str) else set(audience)
    return claims["client_id"] == client.id or not named.isdisjoint({client.id, *client.row.audiences})


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
