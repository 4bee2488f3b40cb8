"""Revocation (RFC 7009): a client gives its own tokens back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc7009 import RevocationEndpoint

from ...store.models import TokenFamilyRow
from ..seams import AuditEntry
from .client import Client
from .families import end_family, find_refresh
from .requests import OAuthRequest
from .secrets import REFRESH
from .server import Server


class Revocation(RevocationEndpoint):
    """Revokes what the request's token is: an access token by itself, a refresh token with all of its family.

    What kind it is shows in the token; a hint is not needed, and a wrong one does no harm. One that is unknown or over
    is as good as revoked.
    """

    server: Server

    def authenticate_endpoint_client(self, request: OAuthRequest) -> Client:
        """See `TokenEndpoint`. Public clients name themselves: they have to show the token anyway."""
        return self.server.authenticate_client(request)

    def authenticate_token(self, request: OAuthRequest, client: Client) -> TokenFamilyRow | Mapping[str, Any] | None:
        """See `RevocationEndpoint`."""
        token = request.get("token")
        if token is None:
            raise InvalidRequestError("Missing token.")
        if token.startswith(REFRESH):
            found = find_refresh(self.server.session, token)
            return None if found is None else _own(client, found[1].client_id, found[1])
        return None if request.claims is None else _own(client, request.claims["client_id"], request.claims)

    def revoke_token(self, token: TokenFamilyRow | Mapping[str, Any], request: OAuthRequest) -> None:
        """See `RevocationEndpoint`."""
        if isinstance(token, TokenFamilyRow):
            end_family(self.server, token.id, "revoked")
            return
        parts = self.server.parts
        parts.revocations.revoke(self.server.session, [f"jti:{token['jti']}"])
        entry = AuditEntry(
            type="auth.token_revoked",
            tenant_id=str(token.get("tid", "default")),
            actor=str(token["sub"]),
            client_id=request.client.id,
            subject=f"jti:{token['jti']}",
            origin=self.server.origin,
        )
        parts.audit.note(self.server.session, entry)


def _own(client: Client, client_id: str, token: Any) -> Any:
    if client_id != client.id:
        raise InvalidGrantError("The token belongs to another client.")
    return token
