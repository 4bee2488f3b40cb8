"""What a client looks like to who registers it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from ...core.permissions import GRANTABLE, OPENID
from ..oauth.redirects import refusal_of
from .jwks import public_keys

DEVICE_CODE: Final = "urn:ietf:params:oauth:grant-type:device_code"
AuthMethod = Literal["none", "client_secret_basic", "client_secret_post", "private_key_jwt"]
GrantType = Literal[
    "authorization_code",
    "refresh_token",
    "client_credentials",
    "password",
    "urn:ietf:params:oauth:grant-type:device_code",
]
SECRET_METHODS: Final = frozenset({"client_secret_basic", "client_secret_post"})
_LONG_LIVED: Final = frozenset({"authorization_code", "password", DEVICE_CODE})
_RESOURCE: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21\x24-\x5b\x5d-\x7e]+")


def _printable(value: str) -> str:
    if not value.isprintable() or not value.strip():
        raise ValueError("holds a character that cannot be shown")
    return value


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _redirect(value: str) -> str:
    if refusal := refusal_of(value):
        raise ValueError(refusal)
    if "*" in value:
        raise ValueError("a redirect address is compared letter for letter: no wildcards")
    return value


def _scope(value: str) -> str:
    if value not in GRANTABLE | OPENID:
        raise ValueError("there is no such scope")
    return value


def _resource(value: str) -> str:
    if _RESOURCE.fullmatch(value) is None:
        raise ValueError("a resource is an absolute URI without a fragment (RFC 8707)")
    return value


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_printable)]
RedirectUri = Annotated[str, Field(min_length=1, max_length=2000), AfterValidator(_redirect)]
Scope = Annotated[str, Field(max_length=100), AfterValidator(_scope)]
Resource = Annotated[str, Field(max_length=500), AfterValidator(_resource)]
RedirectUris = Annotated[list[RedirectUri], Field(max_length=20), AfterValidator(_distinct)]
Scopes = Annotated[list[Scope], Field(max_length=100), AfterValidator(_distinct)]
Resources = Annotated[list[Resource], Field(max_length=20), AfterValidator(_distinct)]
GrantTypes = Annotated[list[GrantType], Field(min_length=1, max_length=5), AfterValidator(_distinct)]
Jwks = Annotated[dict[str, Any], BeforeValidator(public_keys)]


class ClientOptions(BaseModel):
    """What a client is and may do."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    name: Name = Field(description="What people are asked about")
    auth_method: AuthMethod = Field("none", description="How it authenticates; none: a public client")
    grant_types: GrantTypes = ["authorization_code", "refresh_token"]
    redirect_uris: RedirectUris = []
    scopes: Scopes = Field([], description="All it may ask for; of your own")
    audiences: Resources = Field([], description="Resources it may ask for besides this service, or that it is itself")
    jwks: Jwks | None = Field(None, description="Public keys, for private_key_jwt")
    first_party: bool = Field(default=False, description="People are not asked whether it may")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        grants = set(self.grant_types)
        if "authorization_code" in grants and not self.redirect_uris:
            raise ValueError("authorization_code needs redirect_uris")
        if "refresh_token" in grants and grants.isdisjoint(_LONG_LIVED):
            raise ValueError("refresh_token comes with authorization_code, the device flow or password")
        if "client_credentials" in grants and self.auth_method == "none":
            raise ValueError("client_credentials needs a client that authenticates")
        if "password" in grants and not self.first_party:
            raise ValueError("password is for first-party clients")
        if (self.auth_method == "private_key_jwt") != (self.jwks is not None):
            raise ValueError("private_key_jwt needs jwks, and only that")
        if self.auth_method != "none" and any(_is_own_scheme(uri) for uri in self.redirect_uris):
            raise ValueError("an application's own scheme is for native apps, which are public clients")
        return self


class ClientChange(BaseModel):
    """What is to become of a client; what is not named stays. `auth_method` is for good."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    grant_types: GrantTypes | None = None
    redirect_uris: RedirectUris | None = None
    scopes: Scopes | None = None
    audiences: Resources | None = None
    jwks: Jwks | None = None
    first_party: bool | None = None


class Rotation(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid")

    grace_hours: int = Field(24, ge=0, le=24 * 7, description="The old one is good for so long; 0: it is dead at once")


class OAuthClient(BaseModel):
    """A client as its administrators see it."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str = Field(description="Its client_id")
    name: str
    auth_method: str
    grant_types: list[str]
    redirect_uris: list[str]
    scopes: list[str]
    audiences: list[str]
    first_party: bool
    dynamic: bool = Field(description="It registered itself")
    created_at: datetime
    disabled_at: datetime | None = None
    old_secret_until: datetime | None = Field(None, description="Until when the secret before this one is good")


class NewOAuthClient(OAuthClient):
    """A client with its secret, which is shown this once; null if it has none."""

    client_secret: str | None = None


def _is_own_scheme(uri: str) -> bool:
    return not uri.lower().startswith(("http:", "https:"))
