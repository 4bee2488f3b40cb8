"""Dynamic registration (RFC 7591): whoever holds the initial access token may register a third party."""

from __future__ import annotations

import hmac
from typing import Any, Final, Literal

from authlib.oauth2.rfc6749 import AccessDeniedError, OAuth2Error
from authlib.oauth2.rfc7591 import InvalidClientMetadataError, InvalidRedirectURIError
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...core.permissions import ADMIN, GRANTABLE, OPENID
from ...core.settings_auth import AuthSettings
from ...core.types import new_id
from ...store.engine import Database
from ...store.models import OAuthClientRow
from ..clients.repository import count_clients
from ..clients.schemas import SECRET_METHODS, ClientOptions
from ..seams import AuditEntry, Origin
from .secrets import CLIENT, digest_of, new_secret
from .server import OAuthParts

MOST_DYNAMIC: Final = 1000
"""Clients that registered themselves; an administrator deletes those that nobody needs."""
SCOPES: Final = frozenset((GRANTABLE - ADMIN) | OPENID)
"""What a client that registers itself may ask people for: nothing of an administrator's."""
TENANT: Final = "default"
AuthMethod = Literal["none", "client_secret_basic", "client_secret_post"]
GrantType = Literal["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"]


class Registration(BaseModel):
    """What a client says of itself; other members of RFC 7591 are left out."""

    model_config = ConfigDict(extra="ignore")

    client_name: str = Field("Unnamed application", max_length=100)
    redirect_uris: list[str] = Field([], max_length=20)
    token_endpoint_auth_method: AuthMethod = "client_secret_basic"  # noqa: S105 - what RFC 7591 has as the default
    grant_types: list[GrantType] = Field(["authorization_code"], min_length=1, max_length=3)
    response_types: list[Literal["code"]] = Field(["code"], max_length=1)
    scope: str | None = Field(None, max_length=4000)


class Registrar:
    """Registers clients that nobody here knows.

    Args:
        database: Where the rows are.
        parts: What the authorization server is made of.
    """

    def __init__(self, database: Database, parts: OAuthParts) -> None:
        self._database = database
        self._parts = parts

    def check(self, token: str) -> None:
        """See whether somebody may register a client.

        Raises:
            OAuth2Error: Registration is closed, or the token is not the one.
        """
        if not is_open(self._parts.settings):
            raise AccessDeniedError("Registration is closed: an administrator registers clients.", status_code=403)
        expected = self._parts.settings.registration_token
        known = "" if expected is None else expected.get_secret_value()
        if not hmac.compare_digest(digest_of(token), digest_of(known)):
            raise OAuth2Error("The initial access token is not good.", error="invalid_token", status_code=401)

    async def register(self, metadata: Any, origin: Origin) -> dict[str, Any]:
        """Register a client; return what it is told, its secret among it.

        Raises:
            OAuth2Error: What it says of itself is not good, or there are too many.
        """
        said, options = _read(metadata)
        secret = new_secret(CLIENT) if options.auth_method in SECRET_METHODS else None
        row = OAuthClientRow(
            **options.model_dump(),
            id=new_id(),
            secret_digest=None if secret is None else digest_of(secret),
            dynamic=True,
            created_at=self._parts.now(),
            owner_id="",
            tenant_id=TENANT,
        )
        async with self._database.transaction() as session:
            if await count_clients(session, TENANT, dynamic=True) >= MOST_DYNAMIC:
                raise OAuth2Error("There are too many clients.", error="temporarily_unavailable", status_code=503)
            session.add(row)
            await session.run_sync(lambda sync: self._parts.audit.note(sync, _entry(row, origin)))
        return _told(row, said, secret)


def is_open(settings: AuthSettings) -> bool:
    """Whether clients may register themselves; a token that is empty opens nothing."""
    token = settings.registration_token
    return token is not None and bool(token.get_secret_value())


def _read(metadata: Any) -> tuple[Registration, ClientOptions]:
    try:
        said = Registration.model_validate(metadata)
        options = ClientOptions(
            name=said.client_name,
            auth_method=said.token_endpoint_auth_method,
            grant_types=list(said.grant_types),
            redirect_uris=said.redirect_uris,
            scopes=sorted(SCOPES) if said.scope is None else said.scope.split(),
        )
    except ValidationError as exc:
        raise _refusal(exc) from None
    if not SCOPES.issuperset(options.scopes):
        raise InvalidClientMetadataError("scope: there is one that only an administrator gives")
    return said, options


def _refusal(exc: ValidationError) -> OAuth2Error:
    """Say where and why, without what was sent."""
    first = exc.errors(include_input=False, include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    told = f"{place}: {first['msg']}".encode("ascii", "replace").decode().replace('"', "'").replace("\\", "/")
    about_redirects = place.startswith("redirect_uris") or "redirect" in first["msg"]
    return InvalidRedirectURIError(told) if about_redirects else InvalidClientMetadataError(told)


def _told(row: OAuthClientRow, said: Registration, secret: str | None) -> dict[str, Any]:
    told = {
        "client_id": row.id,
        "client_id_issued_at": int(row.created_at.timestamp()),
        "client_name": row.name,
        "redirect_uris": row.redirect_uris,
        "token_endpoint_auth_method": row.auth_method,
        "grant_types": row.grant_types,
        "response_types": list(said.response_types),
        "scope": " ".join(row.scopes),
    }
    return told if secret is None else {**told, "client_secret": secret, "client_secret_expires_at": 0}


def _entry(row: OAuthClientRow, origin: Origin) -> AuditEntry:
    return AuditEntry(
        type="auth.client_changed",
        tenant_id=TENANT,
        client_id=row.id,
        subject=f"client:{row.id}",
        origin=origin,
        details={"action": "register", "name": row.name, "redirects": row.redirect_uris, "scopes": row.scopes},
    )
