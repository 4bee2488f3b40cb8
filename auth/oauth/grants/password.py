"""The password grant (RFC 9700 is against it): for first-party clients alone, and only where it is switched on."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import (
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
)

from ....store.models import UserRow
from ...seams import Proof
from ..client import Client
from ..families import Agreement, begin_family, held_scope
from ..requests import OAuthRequest
from ..server import Answer, Server, refusal
from ..tokens import target_of
from .base import PersonGrant


class PasswordGrant(PersonGrant):
    """Gives tokens for a person whose password was checked before the transaction began (`request.person`)."""

    GRANT_TYPE = "password"

    def authenticated(self) -> Client:
        """Authenticate the client, and see that it may see passwords."""
        client = super().authenticated()
        if not (self.server.parts.settings.password_grant and client.row.first_party):
            raise UnauthorizedClientError("The client may not use this grant_type.")
        return client

    def validate_token_request(self) -> None:
        """Check the request; whatever is wrong with the person, the answer is the same."""
        scope = self.check_early()
        person: UserRow | None = self.request.person
        current = None if person is None else self.server.session.get(UserRow, person.id)
        if person is None or current is None or not current.is_active:
            raise InvalidGrantError("The username or password is wrong.")
        if current.password_changed_at != person.password_changed_at:
            raise InvalidGrantError("The username or password is wrong.")
        self.user, self.scope = current, held_scope(self.server, current.id, scope)
        if not self.scope:
            raise InvalidScopeError

    def check_early(self) -> str:
        """Check all that says nothing of a person; return the scope that the client may ask for."""
        client = self.authenticated()
        if self.request.get("username") is None or self.request.get("password") is None:
            raise InvalidRequestError("Missing username or password.")
        self.target = target_of(self.server.parts, client, self.request.get("resource"))
        scope = client.get_allowed_scope(self.request.get("scope"))
        if scope is None:
            raise InvalidScopeError
        return scope

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Begin a family without a browser session."""
        agreement = Agreement(
            user_id=self.user.id,
            tenant_id=self.user.tenant_id,
            session_id=None,
            scope=self.scope,
            resource=self.target if self.request.get("resource") else None,
            proof=Proof(auth_time=self.server.now),
            since=self.server.now,
        )
        family = begin_family(self.server, self.request.client, agreement)
        return self.answer(family, scope=self.scope, target=self.target)


def refuse_early(server: Server, request: OAuthRequest) -> Answer | None:
    """Say what is wrong with a request before anybody hashes a password for it; None if nothing is."""
    try:
        PasswordGrant(request, server).check_early()
    except OAuth2Error as error:
        return refusal(error)
    return None
