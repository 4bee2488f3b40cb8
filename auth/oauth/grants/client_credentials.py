"""The client credentials grant: a service account gets a token for itself."""

from __future__ import annotations

from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidScopeError, UnauthorizedClientError
from authlib.oauth2.rfc6749.grants import BaseGrant, TokenEndpointMixin

from ....core.permissions import GRANTABLE
from ..client import Client
from ..requests import OAuthRequest
from ..server import Server
from ..tokens import client_token, target_of

CLIENT_CREDENTIALS: Final = "client_credentials"


class ClientCredentialsGrant(BaseGrant, TokenEndpointMixin):
    """Gives a client that authenticates a token that stands for itself: no person, so no refresh and no id token."""

    GRANT_TYPE: Any = CLIENT_CREDENTIALS
    request: OAuthRequest
    server: Server

    def validate_token_request(self) -> None:
        """Check the request."""
        client = self.server.authenticate_client(self.request)
        if self.request.auth_method == "none" or not client.check_grant_type(CLIENT_CREDENTIALS):
            raise UnauthorizedClientError("The client may not use this grant_type.")
        self.target = target_of(self.server.parts, client, self.request.get("resource"))
        self.scope = _scope(client, self.request.get("scope"))

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Make the token."""
        token = client_token(self.server, self.request.client, scope=self.scope, target=self.target)
        return 200, token, self.TOKEN_RESPONSE_HEADER


def _scope(client: Client, asked: str | None) -> str:
    """All permissions among the client's scopes, or those that it asks for; what concerns people is none of them."""
    words = [word for word in client.row.scopes if word in GRANTABLE] if asked is None else asked.split()
    scope = client.get_allowed_scope(" ".join(words))
    if scope is None or not GRANTABLE.issuperset(words):
        raise InvalidScopeError
    return scope
