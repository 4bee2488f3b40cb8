"""Clients that authenticate with a signed assertion (`private_key_jwt`, RFC 7523)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from authlib.oauth2.rfc6749 import InvalidClientError
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jws import JWSRegistry
from sqlalchemy.dialects import postgresql, sqlite

from ...store.models import UsedAssertionRow
from ...store.models.base import table_of
from ..clients.jwks import ALGORITHMS, find_key
from .client import Client
from .requests import OAuthRequest
from .server import Server

METHOD: Final = "private_key_jwt"
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
LONGEST_S: Final = 3600
"""An assertion is good for no longer: its `jti` is remembered meanwhile. Authlib's clients make theirs so long."""
_SKEW_S: Final = 30
_MOST_BYTES: Final = 8192
_MOST_JTI: Final = 200
_REGISTRY: Final = JWSRegistry(algorithms=list(ALGORITHMS))
_WRONG: Final = "The client could not be authenticated."


class AssertionAuth(JWTBearerClientAssertion):
    """Authenticates clients by assertions. Each is used up as the last step, so a wrong one costs nobody anything.

    Args:
        server: Of the request.
    """

    CLIENT_AUTH_METHOD = METHOD

    def __init__(self, server: Server) -> None:
        super().__init__(leeway=_SKEW_S)
        self._server = server

    def __call__(self, query_client: Callable[[str], Client | None], request: OAuthRequest) -> Client | None:
        """Return the client whose assertion the request carries; None if it is not good, without a reason."""
        assertion = request.get("client_assertion")
        if assertion is None or len(assertion) > _MOST_BYTES or not assertion.isascii() or request.get("client_secret"):
            return None
        try:
            client: Client | None = super().__call__(query_client, request)
        except (InvalidClientError, JoseError, ValueError, RecursionError):
            return None
        return client if client is not None and request.get("client_id") in {None, client.id} else None

    def get_audiences(self) -> list[str]:
        """See `JWTBearerClientAssertion`."""
        issuer = self._server.parts.issuer
        return [issuer, f"{issuer}/oauth/token"]

    def resolve_client_public_key(self, client: Client) -> Any:
        """See `JWTBearerClientAssertion`. The key depends on what the assertion's header names."""
        jwks: Mapping[str, Any] = client.row.jwks or {"keys": []}

        def chosen(signed: Any) -> Any:
            header = signed.headers()
            key = find_key(jwks, header.get("kid"), header.get("alg"))
            if key is None:
                raise InvalidClientError(_WRONG)
            return key

        return chosen

    def process_assertion_claims(self, assertion: str, resolve_key: Any) -> Any:
        """See `JWTBearerClientAssertion`. Only our algorithms are taken."""
        claims = jwt.decode(assertion, resolve_key, registry=_REGISTRY).claims
        self.verify_claims(claims)
        return claims

    def verify_claims(self, claims: Any) -> None:
        """See `JWTBearerClientAssertion`. It lives briefly, by our clock."""
        now, expires = self._server.now.timestamp(), claims.get("exp")
        needed: dict[str, Any] = {name: {"essential": True} for name in ("iss", "sub", "exp", "jti")}
        needed["aud"] = {"essential": True, "values": self.get_audiences()}
        jwt.JWTClaimsRegistry(now=int(now), leeway=_SKEW_S, **needed).validate(claims)
        if not expires <= now + LONGEST_S + _SKEW_S or claims["iss"] != claims["sub"]:  # NaN is nothing
            raise InvalidClientError(_WRONG)
        if not self.validate_jti(claims, claims["jti"]):
            raise InvalidClientError(_WRONG)

    def validate_jti(self, claims: Any, jti: Any) -> bool:
        """See `JWTBearerClientAssertion`. Of two that come at once one is good."""
        if not isinstance(jti, str) or not 0 < len(jti) <= _MOST_JTI or not jti.isprintable():
            return False
        session = self._server.session
        insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        statement = insert(table_of(UsedAssertionRow)).values(
            client_id=claims["sub"],
            jti=jti,
            expires_at=datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=3 * _SKEW_S),  # it is over then
            owner_id="",
            tenant_id="default",
        )
        taken = statement.on_conflict_do_nothing().returning(table_of(UsedAssertionRow).c.jti)
        return session.execute(taken).one_or_none() is not None
