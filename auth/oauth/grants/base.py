"""What the grants of people share."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin

from ....store.models import TokenFamilyRow
from ..client import Client
from ..families import add_refresh
from ..requests import OAuthRequest
from ..server import Server
from ..tokens import family_token


class PersonGrant(BaseGrant, TokenEndpointMixin):
    """A grant that gives a client tokens for a person."""

    GRANT_TYPE: Any = None
    request: OAuthRequest
    server: Server

    def authenticated(self) -> Client:
        """Authenticate the client, and see that it may use this grant."""
        client = self.server.authenticate_client(self.request)
        if not client.check_grant_type(self.GRANT_TYPE):
            raise UnauthorizedClientError("The client may not use this grant_type.")
        return client

    def answer(
        self, family: TokenFamilyRow, *, scope: str, target: str, nonce: str | None = None
    ) -> tuple[int, dict[str, Any], Any]:
        """Make the tokens; a refresh token for clients that use them."""
        client: Client = self.request.client
        token = family_token(self.server, family, scope=scope, target=target, nonce=nonce)
        if client.check_grant_type("refresh_token"):
            token["refresh_token"] = add_refresh(self.server, family)
        return 200, token, self.TOKEN_RESPONSE_HEADER
