"""A client as Authlib asks about it."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from datetime import datetime

from authlib.oauth2.rfc6749 import ClientMixin

from ...core.permissions import GRANTABLE, OPENID
from ...store.models import OAuthClientRow
from .redirects import is_registered
from .secrets import digest_of


class Client(ClientMixin):
    """A registered client that is not disabled.

    Args:
        row: The client's.
        now: When it is asked about.
    """

    def __init__(self, row: OAuthClientRow, now: datetime) -> None:
        self.row = row
        self.id = row.id
        self._now = now

    def get_client_id(self) -> str:
        """See `ClientMixin`."""
        return self.id

    def get_default_redirect_uri(self) -> None:
        """See `ClientMixin`. There is none: a request says where it leads back to."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """See `ClientMixin`. Without a scope it is all it may ask for; None if it asks for more than that."""
        known = [word for word in self.row.scopes if word in GRANTABLE | OPENID]
        words: Sequence[str] = known if scope is None else list(dict.fromkeys(scope.split()))
        return " ".join(words) if words and set(words) <= set(known) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """See `ClientMixin`."""
        return is_registered(redirect_uri, self.row.redirect_uris)

    def check_client_secret(self, client_secret: str) -> bool:
        """See `ClientMixin`. While a secret is replaced, both are good."""
        shown, row = digest_of(client_secret), self.row
        good = hmac.compare_digest(shown, row.secret_digest or "")
        until = row.old_secret_until
        if until is not None and self._now < until:
            good |= hmac.compare_digest(shown, row.old_secret_digest or "")
        return good

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:  # noqa: ARG002 - the same at each
        """See `ClientMixin`."""
        return method == str(self.row.auth_method)

    def check_response_type(self, response_type: str) -> bool:
        """See `ClientMixin`."""
        return response_type == "code" and self.check_grant_type("authorization_code")

    def check_grant_type(self, grant_type: str) -> bool:
        """See `ClientMixin`."""
        return grant_type in self.row.grant_types
