"""The authorization server of one request: Authlib's core over a session of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from authlib.oauth2 import AuthorizationServer
from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError, OAuth2Error
from sqlalchemy.orm import Session

from ...core.settings_auth import AuthSettings
from ...core.types import utc_now
from ...store.models import OAuthClientRow
from ..seams import AuditTrail, Origin, Permissions, Revocations, Signer
from .client import Client
from .requests import OAuthRequest

NO_STORE: Mapping[str, str] = {"cache-control": "no-store", "pragma": "no-cache"}
_MOST_ID = 200
Find = Callable[[str], Client | None]
Authenticate = Callable[[Find, OAuthRequest], Client | None]


@dataclass(frozen=True, kw_only=True)
class OAuthParts:
    """What the authorization server is made of.

    Attributes:
        issuer: Our name.
        now: The time of day.
    """

    settings: AuthSettings
    issuer: str
    signer: Signer
    permissions: Permissions
    revocations: Revocations
    audit: AuditTrail
    now: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        """Authlib writes the tokens it issues to its debug log: there is none."""
        log = logging.getLogger("authlib")
        log.setLevel(max(log.level, logging.INFO))


class Answer(NamedTuple):
    """An answer of the authorization server, before HTTP."""

    status: int
    body: Mapping[str, Any] | str
    headers: Mapping[str, str]


class Server(AuthorizationServer):
    """Answers one request, in one transaction; what it revoked stands although the answer is an error.

    Args:
        session: The transaction.
        parts: What it works with.

    Attributes:
        now: When the request came.
        origin: Where from.
    """

    def __init__(self, session: Session, parts: OAuthParts) -> None:
        super().__init__()
        self.session = session
        self.parts = parts
        self.now = parts.now()
        self.origin = Origin()
        self._clients: dict[str, Client | None] = {}
        self._methods: dict[str, Authenticate] = {
            "client_secret_basic": _basic,
            "client_secret_post": _post,
            "none": _public,
        }

    def query_client(self, client_id: str) -> Client | None:
        """Find a client of any tenant; a disabled one is not there."""
        if not (0 < len(client_id) <= _MOST_ID and client_id.isascii() and client_id.isprintable()):
            return None
        if client_id not in self._clients:
            row = self.session.get(OAuthClientRow, client_id)
            known = None if row is None or row.disabled_at is not None else Client(row, self.now)
            self._clients[client_id] = known
        return self._clients[client_id]

    def register_client_auth_method(self, method: str, func: Authenticate) -> None:
        """See `AuthorizationServer`."""
        self._methods[method] = func

    def authenticate_client(
        self, request: OAuthRequest, methods: Collection[str] | None = None, endpoint: str = "token"
    ) -> Client:
        """Authenticate the client by the one method it registered.

        Raises:
            InvalidClientError: 401, in the same words whatever is wrong.
        """
        for method, authenticate in self._methods.items():
            client = authenticate(self.query_client, request) if methods is None or method in methods else None
            if client is not None and client.check_endpoint_auth_method(method, endpoint):
                request.client, request.auth_method = client, method
                return client
        raise InvalidClientError("The client could not be authenticated.", status_code=401)

    def create_oauth2_request(self, request: OAuthRequest) -> OAuthRequest:
        """See `AuthorizationServer`. It was read before the transaction."""
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Answer:
        """See `AuthorizationServer`."""
        return Answer(status, body, {**{name.lower(): value for name, value in headers or ()}, **NO_STORE})

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """See `AuthorizationServer`. Nobody listens."""

    def get_token_grant(self, request: OAuthRequest) -> Any:
        """See `AuthorizationServer`."""
        wanted = request.get("grant_type")
        if wanted is None:
            raise InvalidRequestError("Missing grant_type.")
        for grant, _extensions in self._token_grants:
            if wanted == grant.GRANT_TYPE:
                return grant(request, self)
        raise OAuth2Error("This grant_type is not served.", error="unsupported_grant_type")

    def create_token_response(self, request: Any = None) -> Answer:
        """Answer a token request (`OAuthRequest`); an error is an answer too."""
        self.origin = request.origin
        try:
            grant = self.get_token_grant(request)
            grant.validate_token_request()
            return self.handle_response(*grant.create_token_response())
        except OAuth2Error as error:
            return refusal(error)


def refusal(error: OAuth2Error) -> Answer:
    """Render an error as the RFCs have it."""
    status, body, headers = error()
    return Answer(status, body, {**{name.lower(): value for name, value in headers}, **NO_STORE})


def _basic(query_client: Find, request: OAuthRequest) -> Client | None:
    return _with_secret(query_client, *(request.basic or (None, None)))


def _post(query_client: Find, request: OAuthRequest) -> Client | None:
    return _with_secret(query_client, request.get("client_id"), request.get("client_secret"))


def _with_secret(query_client: Find, name: str | None, secret: str | None) -> Client | None:
    client = query_client(name) if name and secret else None
    return client if client is not None and secret and client.check_client_secret(secret) else None


def _public(query_client: Find, request: OAuthRequest) -> Client | None:
    if request.basic is not None or request.get("client_secret") or request.get("client_assertion"):
        return None
    return query_client(request.get("client_id") or "")
