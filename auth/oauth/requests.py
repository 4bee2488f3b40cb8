"""OAuth requests: read whole and within bounds before a transaction begins, each parameter once."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from authlib.oauth2.rfc6749 import InvalidClientError, InvalidRequestError, OAuth2Request
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from starlette.requests import Request

from ..seams import Origin

MOST_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 100
_FORM: Final = "application/x-www-form-urlencoded"


class OAuthRequest(OAuth2Request):
    """A request as Authlib takes it.

    Args:
        method: Of HTTP.
        parameters: The form, or the query of the authorization endpoint; what has no value is left out.
        headers: Of the request.
        origin: Where it came from.

    Attributes:
        basic: Client id and secret of an `Authorization: Basic` header; None without one.
        person: Who proved who they are with the password of the request; set before the transaction.
        claims: Of the access token that the request is about, if it is good; set before the transaction.
    """

    def __init__(
        self, method: str, parameters: Mapping[str, str], *, headers: Mapping[str, str], origin: Origin
    ) -> None:
        # Authlib refuses http, which is fine on this machine; it does not look at the address again.
        super().__init__(method, "https://issuer.invalid/", headers=headers)
        self.parameters = dict(parameters)
        self.payload: Any = BasicOAuth2Payload(self.parameters)
        self.client: Any = None
        self.auth_method: Any = None
        self.origin = origin
        self.person: Any = None
        self.claims: Mapping[str, Any] | None = None
        self.basic = _basic(headers.get("authorization", ""))
        if self.basic is not None:
            self._check_one_method()

    @property
    def args(self) -> dict[str, str]:
        """The parameters; ours come from one place."""
        return self.parameters

    @property
    def form(self) -> dict[str, str]:
        """The parameters; ours come from one place."""
        return self.parameters

    def get(self, name: str) -> str | None:
        """The value of a parameter; None if it was not sent."""
        return self.parameters.get(name)

    def _check_one_method(self) -> None:
        if "client_secret" in self.parameters or "client_assertion" in self.parameters:
            raise InvalidRequestError("Authenticate the client in one way.")
        if self.basic is not None and self.parameters.get("client_id", self.basic[0]) != self.basic[0]:
            raise InvalidRequestError("The client_id is not the one that authenticates.")


async def read_form(request: Request, origin: Origin) -> OAuthRequest:
    """Read a request whose parameters are a form; none may be in the address, where logs keep it.

    Raises:
        InvalidRequestError: It has another form, or says something twice.
        InvalidClientError: Its `Authorization` header cannot be read.
    """
    if request.url.query:
        raise InvalidRequestError("Send parameters in the body, not in the address.")
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _FORM:
        raise InvalidRequestError(f"Send {_FORM}.")
    return _read(request, await _body(request), origin)


def read_query(request: Request, origin: Origin) -> OAuthRequest:
    """Read a request whose parameters are in the address; raises as `read_form`."""
    return _read(request, request.scope["query_string"], origin)


def _read(request: Request, encoded: bytes, origin: Origin) -> OAuthRequest:
    parameters = _parameters(encoded)
    return OAuthRequest(request.method, parameters, headers=request.headers, origin=origin)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise InvalidRequestError(f"A request may hold at most {MOST_BYTES} bytes.")
    return body


def _parameters(encoded: bytes) -> dict[str, str]:
    if len(encoded) > MOST_BYTES:
        raise InvalidRequestError(f"A request may hold at most {MOST_BYTES} bytes.")
    try:
        text = encoded.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise InvalidRequestError("The parameters cannot be read.") from None
    _check_pairs(pairs)
    return {name: value for name, value in pairs if value}


def _check_pairs(pairs: Sequence[tuple[str, str]]) -> None:
    if len({name for name, _ in pairs}) < len(pairs):
        raise InvalidRequestError("A parameter was sent more than once.")
    if any("\0" in name + value for name, value in pairs):
        raise InvalidRequestError("A parameter holds a NUL character.")


def _basic(header: str) -> tuple[str, str] | None:
    kind, _, encoded = header.partition(" ")
    if kind.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        colon = ""
    if not colon:
        raise InvalidClientError("The Authorization header cannot be read.", status_code=401)
    return unquote_plus(name), unquote_plus(secret)
