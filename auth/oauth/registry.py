"""Which grants and endpoints there are: the one place to add another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from .assertions import METHOD, AssertionAuth
from .device import DeviceAuthorization
from .grants.client_credentials import ClientCredentialsGrant
from .grants.code import CodeGrant
from .grants.device import DeviceGrant
from .grants.password import PasswordGrant
from .grants.refresh import RefreshGrant
from .introspection import Introspection
from .revocation import Revocation
from .server import OAuthParts, Server

GRANTS: Final[Sequence[type[Any]]] = (CodeGrant, RefreshGrant, ClientCredentialsGrant, DeviceGrant, PasswordGrant)
ENDPOINTS: Final[Sequence[type[Any]]] = (DeviceAuthorization, Revocation, Introspection)


def open_server(session: Session, parts: OAuthParts) -> Server:
    """Make the authorization server of one request."""
    server = Server(session, parts)
    server.register_client_auth_method(METHOD, AssertionAuth(server))
    for grant in GRANTS:
        server.register_grant(grant)
    for endpoint in ENDPOINTS:
        server.register_endpoint(endpoint)
    return server
