"""Authorization requests: read and checked before anybody is asked anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import (
    InvalidClientError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
)

from ..seams import Proof
from .client import Client
from .codes import CHALLENGE
from .requests import OAuthRequest
from .server import Server
from .tokens import target_of

AFTER: Final = "signed_in_after"
"""Our own parameter of a request that comes back from signing in: Unix time; whoever signed in before must again."""
ENDPOINT: Final = "/oauth/authorize"
_MOST_NONCE: Final = 1000
_MOST_AGE_DIGITS: Final = 9
_LATEST_DIGITS: Final = 12
_ANSWERS: Final = frozenset({"action", "csrf"})


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """A request that may be answered with a redirect.

    Attributes:
        scope: All that the client asks for.
        resource: None if it names none.
        prompts: Words of `prompt`.
        max_age: Seconds that signing in may be ago.
        after: See `AFTER`.
        fields: The parameters as they came.
    """

    client: Client
    redirect_uri: str
    state: str | None
    scope: str
    resource: str | None
    nonce: str | None
    code_challenge: str
    prompts: frozenset[str]
    max_age: timedelta | None
    after: float
    fields: dict[str, str]

    def accepts(self, proof: Proof, now: datetime) -> bool:
        """Whether how and when a person signed in is good enough."""
        if "login" in self.prompts or proof.auth_time.timestamp() < self.after:
            return False
        return self.max_age is None or now - proof.auth_time <= self.max_age

    def after_sign_in(self, now: datetime) -> str:
        """The address of this request for somebody who has signed in anew: it does not ask for that again."""
        fields = dict(self.fields)
        prompts = " ".join(word for word in fields.pop("prompt", "").split() if word != "login")
        if "login" in self.prompts or self.max_age is not None:
            fields.pop("max_age", None)
            fields[AFTER] = str(int(now.timestamp()))
        return f"{ENDPOINT}?{urlencode({**fields, 'prompt': prompts} if prompts else fields)}"


def read_asked(server: Server, request: OAuthRequest) -> AuthorizationRequest:
    """Check an authorization request.

    Raises:
        OAuth2Error: It is not good; with a `redirect_uri` if the client may be told.
    """
    client = server.query_client(request.get("client_id") or "")
    if client is None:
        raise InvalidClientError("There is no such client.")
    redirect_uri = request.get("redirect_uri") or ""
    if not client.check_redirect_uri(redirect_uri):
        raise InvalidRequestError("The redirect_uri is not one of the client.")
    try:
        return _checked(server, request, client, redirect_uri)
    except OAuth2Error as error:
        error.redirect_uri, error.state = redirect_uri, request.get("state")
        raise


def _checked(server: Server, request: OAuthRequest, client: Client, redirect_uri: str) -> AuthorizationRequest:
    _check_response(request, client)
    scope = client.get_allowed_scope(request.get("scope"))
    if scope is None:
        raise InvalidScopeError
    resource = request.get("resource")
    nonce = request.get("nonce")
    if len(nonce or "") > _MOST_NONCE:
        raise InvalidRequestError("The nonce is too long.")
    max_age = _number(request, "max_age", _MOST_AGE_DIGITS)
    return AuthorizationRequest(
        client=client,
        redirect_uri=redirect_uri,
        state=request.get("state"),
        scope=scope,
        resource=None if resource is None else target_of(server.parts, client, resource),
        nonce=nonce,
        code_challenge=_challenge(request),
        prompts=_prompts(request),
        max_age=None if max_age is None else timedelta(seconds=max_age),
        after=_number(request, AFTER, _LATEST_DIGITS) or 0,
        fields={name: value for name, value in request.parameters.items() if name not in _ANSWERS},
    )


def _check_response(request: OAuthRequest, client: Client) -> None:
    wanted = request.get("response_type")
    if wanted is None:
        raise InvalidRequestError("Missing response_type.")
    if wanted != "code":
        raise OAuth2Error("Only response_type=code is served.", error="unsupported_response_type")
    if not client.check_response_type(wanted):
        raise UnauthorizedClientError("The client may not use response_type=code.")
    if request.get("response_mode") not in {None, "query"}:
        raise InvalidRequestError("Only response_mode=query is served.")
    if request.get("request") is not None or request.get("request_uri") is not None:
        raise OAuth2Error("Request objects are not served.", error="request_not_supported")


def _challenge(request: OAuthRequest) -> str:
    challenge = request.get("code_challenge")
    if challenge is None or CHALLENGE.fullmatch(challenge) is None or request.get("code_challenge_method") != "S256":
        raise InvalidRequestError("Send a code_challenge with code_challenge_method=S256.")
    return challenge


def _prompts(request: OAuthRequest) -> frozenset[str]:
    prompts = frozenset((request.get("prompt") or "").split())
    if "none" in prompts and len(prompts) > 1:
        raise InvalidRequestError("prompt=none stands alone.")
    return prompts


def _number(request: OAuthRequest, name: str, digits: int) -> int | None:
    text = request.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= digits):
        raise InvalidRequestError(f"{name} is a number.")
    return int(text)
