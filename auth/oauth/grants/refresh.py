"""The refresh grant: each token is good once, and one that comes twice ends its family."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, InvalidScopeError

from ....store.models import RefreshTokenRow, TokenFamilyRow
from ..client import Client
from ..families import end_family, find_refresh, is_last_used, reason_to_end, take_refresh, touch_family
from ..tokens import narrowed_target
from .base import PersonGrant

_WRONG = "The refresh token is not good."


class RefreshGrant(PersonGrant):
    """Rotates refresh tokens. A request that asks for too much uses nothing up."""

    GRANT_TYPE = "refresh_token"

    def validate_token_request(self) -> None:
        """Check the request, and use the token up."""
        self._check_client_is_there()
        client = self.authenticated()
        row, family = self._found(client)
        reason = reason_to_end(self.server, user_id=family.user_id, scope=family.scope, since=family.created_at)
        if reason is not None:
            raise self._ended(family, reason)
        self.scope = _narrowed(self.request.get("scope"), client, family.scope)
        self.target = narrowed_target(self.server, client, self.request.get("resource"), family.resource)
        if not touch_family(self.server, family):
            raise InvalidGrantError(_WRONG)
        if row.used_at is None and not take_refresh(self.server, row):
            self.server.session.refresh(row)
            self._check_reuse(row, family)
        self.family = family

    def create_token_response(self) -> tuple[int, dict[str, Any], Any]:
        """Make the next tokens of the family."""
        return self.answer(self.family, scope=self.scope, target=self.target)

    def _check_client_is_there(self) -> None:
        """A client that is gone learns the same as with any dead token; a disabled one's family ends."""
        claimed = (self.request.basic or (self.request.get("client_id"),))[0]
        if claimed is None or self.server.query_client(claimed) is not None:
            return
        found = find_refresh(self.server.session, self.request.get("refresh_token") or "")
        if found is not None and found[1].client_id == claimed:
            end_family(self.server, found[1].id, "client_disabled")
        raise InvalidGrantError(_WRONG)

    def _found(self, client: Client) -> tuple[RefreshTokenRow, TokenFamilyRow]:
        token = self.request.get("refresh_token")
        if token is None:
            raise InvalidRequestError("Missing refresh_token.")
        found = find_refresh(self.server.session, token)
        if found is None or found[1].client_id != client.id or found[1].revoked_at is not None:
            raise InvalidGrantError(_WRONG)
        row, family = found
        if row.used_at is not None:
            self._check_reuse(row, family)
        if min(row.expires_at, family.expires_at) <= self.server.now:
            raise InvalidGrantError(_WRONG)
        return row, family

    def _check_reuse(self, row: RefreshTokenRow, family: TokenFamilyRow) -> None:
        """Let a token that was used a moment ago, and nothing after it, be used again where that is allowed."""
        leeway = timedelta(seconds=self.server.parts.settings.refresh_leeway_s)
        # Who came first may be written down as used after we came: without leeway there is no "recent" at all.
        recent = bool(leeway) and row.used_at is not None and self.server.now - row.used_at < leeway
        if not (recent and is_last_used(self.server.session, row)):
            raise self._ended(family, "reused")

    def _ended(self, family: TokenFamilyRow, reason: str) -> InvalidGrantError:
        end_family(self.server, family.id, reason)
        return InvalidGrantError(_WRONG)


def _narrowed(asked: str | None, client: Client, granted: str) -> str:
    """Return the scope of the next tokens: all that was granted and the client may still ask for, or a part of it."""
    words = granted.split() if asked is None else list(dict.fromkeys(asked.split()))
    if not words or not set(words) <= set(granted.split()):
        raise InvalidScopeError
    scope = client.get_allowed_scope(" ".join(words))
    if scope is None:
        raise InvalidScopeError
    return scope
