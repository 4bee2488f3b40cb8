"""The authorization code grant: a code becomes tokens, once."""

from __future__ import annotations

from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError

from ....store.models import AuthorizationCodeRow
from ..client import Client
from ..codes import agreement_of, fits, is_verifier, take_code
from ..families import begin_family, end_family, reason_to_end
from ..secrets import digest_of
from ..tokens import narrowed_target
from .base import PersonGrant


class CodeGrant(PersonGrant):
    """Redeems codes. Everything is checked before the code is used up, which is the last that can fail."""

    GRANT_TYPE = "authorization_code"

    def validate_token_request(self) -> None:
        """Check the request, and use the code up."""
        client = self.authenticated()
        code = self.request.get("code")
        if code is None:
            raise InvalidRequestError("Missing code.")
        row = self._found(client, code)
        self._check_verifier(row)
        agreement = agreement_of(row)
        if reason_to_end(self.server, user_id=row.user_id, scope=row.scope, since=agreement.since):
            raise InvalidGrantError("The person must be asked again.")
        self.target = narrowed_target(self.server, client, self.request.get("resource"), row.resource)
        if not take_code(self.server, row):
            raise self._replayed(row)
        self.row = row

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Make the family and its first tokens."""
        row = self.row
        family = begin_family(self.server, self.request.client, agreement_of(row), family_id=row.family_id)
        return self.answer(family, scope=row.scope, target=self.target, nonce=row.nonce)

    def _found(self, client: Client, code: str) -> AuthorizationCodeRow:
        row = self.server.session.get(AuthorizationCodeRow, digest_of(code))
        if row is None or row.client_id != client.id:
            raise InvalidGrantError("The code is not good.")
        if row.used_at is not None:
            raise self._replayed(row)
        if row.expires_at <= self.server.now or self.request.get("redirect_uri") != row.redirect_uri:
            raise InvalidGrantError("The code is not good.")
        return row

    def _check_verifier(self, row: AuthorizationCodeRow) -> None:
        """Whoever guesses has one try: the code is used up."""
        verifier = self.request.get("code_verifier")
        if verifier is not None and is_verifier(verifier) and fits(verifier, row.code_challenge):
            return
        take_code(self.server, row)
        if verifier is None or not is_verifier(verifier) or not row.code_challenge:
            raise InvalidRequestError("Missing or malformed code_verifier, or one that nobody asked for.")
        raise InvalidGrantError("The code_verifier does not fit.")

    def _replayed(self, row: AuthorizationCodeRow) -> InvalidGrantError:
        """A code that comes twice was stolen: what came of it ends."""
        end_family(self.server, row.family_id, "reused")
        return InvalidGrantError("The code is not good.")
