"""The layer that finds out who asks: nothing but the public paths answers without a credential."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ..auth.door import OAuthAuth
from ..auth.issuer import MCP_PATH
from ..auth.seams import Authenticator
from ..core.errors import BadRequest, CodeLabError, Forbidden, Unauthenticated, Unavailable
from ..core.types import Principal
from .lasting import Lasting, Over
from .refusals import refusal

PUBLIC = frozenset({"/ok", "/info", "/health", "/health/live", "/health/ready", "/login"})
PUBLIC_PREFIXES = ("/static/",)
SUBPROTOCOL = "bearer"
"""A browser cannot set headers of a WebSocket: it offers the subprotocols `bearer` and the token."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_WITHOUT_SESSION: Final = frozenset({"/logout", "/register", "/verify", "/forgot", "/reset"})
_OAUTH_PREFIXES: Final = ("/oauth/", "/.well-known/")
_BEARER: Final = "bearer"
_COOKIE: Final = "cookie"
_FORM: Final = "application/x-www-form-urlencoded"


def _signed_out(scope: Scope) -> Response:
    from .pages import signed_out  # noqa: PLC0415 - brings Jinja, which an application without pages does not need

    return signed_out(Request(scope))


def _to_sign_in(scope: Scope) -> Response:
    asked = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
    return RedirectResponse(
        f"/login?next={quote(asked, safe='')}", status_code=303, headers={"cache-control": "no-store"}
    )


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """What stands at the door.

    Attributes:
        public: What answers without a credential.
        prefixes: Likewise, with everything below.
        issuer: The authorization server that gives tokens; None: there is none.
        sign_in: What a browser gets that opens a page without a session.
    """

    public: frozenset[str] = PUBLIC
    prefixes: tuple[str, ...] = PUBLIC_PREFIXES
    issuer: str | None = None
    sign_in: Callable[[Scope], Response] = _signed_out

    def is_public(self, path: str) -> bool:
        """Whether a path answers to everybody."""
        return path in self.public or (bool(self.prefixes) and path.startswith(self.prefixes) and ".." not in path)

    def challenge(self, path: str, *, shown: bool) -> str:
        """Say how to come in (RFC 6750, RFC 9728); `shown`: a credential was sent, and is not good."""
        parts = ['realm="codelab"'] + (['error="invalid_token"'] if shown and self.issuer else [])
        if self.issuer is not None:
            at = MCP_PATH if path == MCP_PATH else ""
            parts.append(f'resource_metadata="{self.issuer}/.well-known/oauth-protected-resource{at}"')
        return f"Bearer {', '.join(parts)}"


LOCAL: Final = Entrance()
"""The door of local mode."""


def oauth_entrance(issuer: str) -> Entrance:
    """The door of oauth mode: sign-in and the authorization server are public, each with its own checks."""
    return Entrance(
        public=PUBLIC | _WITHOUT_SESSION,
        prefixes=PUBLIC_PREFIXES + _OAUTH_PREFIXES,
        issuer=issuer,
        sign_in=_to_sign_in,
    )


def entrance_for(auth: Authenticator) -> Entrance:
    """The door that goes with an authenticator."""
    return oauth_entrance(auth.issuer) if isinstance(auth, OAuthAuth) else LOCAL


class Credential:
    """Nothing but the public paths answers without a credential; the principal is left in `scope["state"]`.

    A cookie authorises a change only for a request from our own pages (Origin or Sec-Fetch-Site).

    Args:
        app: The next layer.
        auth: Who may come in.
        origins: Pages of others that may use what needs no credential, as cross-origin rules let them.
        entrance: What is public, and what whoever is not let in is told.
    """

    def __init__(
        self, app: ASGIApp, *, auth: Authenticator, origins: Collection[str] = (), entrance: Entrance = LOCAL
    ) -> None:
        self._app = app
        self._auth = auth
        self._origins = frozenset(origins)
        self._entrance = entrance

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http" or self._entrance.is_public(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            refused = await self._admit(scope, receive)
        except CodeLabError as exc:
            refused = refusal(scope, exc)
        if refused is not None:
            await refused(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for as long as whoever asks would be let in."""
        lasting = Lasting(send, partial(self._lives, Headers(scope=scope)))
        try:
            await self._app(scope, receive, lasting)
        except Over:
            pass
        except BaseExceptionGroup as group:
            if (others := group.split(Over)[1]) is not None:
                raise others from None
        if lasting.over and not lasting.began and scope["type"] == "http":
            headers = {"www-authenticate": self._entrance.challenge(scope["path"], shown=True)}
            await refusal(scope, Unauthenticated("You were signed out."), headers=headers)(scope, receive, send)

    async def _lives(self, headers: Headers) -> bool:
        """Whether a credential that was let in still would be; where nobody can tell just now, it is."""
        shown, token = self._shown(headers)
        try:
            if shown == _BEARER:
                return await self._auth.lives(token)
            return not token or await self._auth.cookie(token) is not None
        except Unavailable:
            return True

    async def _admit(self, scope: Scope, receive: Receive) -> Response | None:
        """Leave the principal in the scope; what is answered if there is none."""
        headers = Headers(scope=scope)
        if b"access_token=" in scope["query_string"]:
            raise BadRequest("An address ends in logs: send the token as Authorization: Bearer <token>.")
        principal, by_cookie = await self._principal(headers, scope["path"])
        if principal is None:
            return self._sign_in(headers, scope) or await self._refused(headers, scope, receive)
        if by_cookie and scope["method"] not in SAFE_METHODS and not self._is_own_page(headers):
            raise Forbidden("This request did not come from our own page.", code="bad_origin")
        scope.setdefault("state", {})["principal"] = principal
        return None

    async def _refused(self, headers: Headers, scope: Scope, receive: Receive) -> Response:
        if headers.get("content-type", "").startswith(_FORM) and not headers.get("authorization"):
            first = (await receive()).get("body", b"")
            if b"access_token=" in first:
                raise BadRequest("Send the token as Authorization: Bearer <token>, not in the body.")
        shown = bool(headers.get("authorization"))
        return refusal(
            scope,
            Unauthenticated("Send Authorization: Bearer <token>, or sign in with the browser."),
            headers={"www-authenticate": self._entrance.challenge(scope["path"], shown=shown)},
        )

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As for HTTP, but that a cookie never counts for another origin: a socket can do everything."""
        headers = Headers(scope=scope)
        state = scope.setdefault("state", {})
        if _offered(headers) is not None:
            state["subprotocol"] = SUBPROTOCOL
        try:
            principal, by_cookie = await self._principal(headers, scope["path"])
            principal = None if by_cookie and not self._is_own_page(headers) else principal
        except CodeLabError:
            principal = None
        if principal is None:
            await send({"type": "websocket.close", "code": 1008})
            return
        state["principal"] = principal
        await self._serve(scope, receive, send)

    def _is_own_page(self, headers: Headers) -> bool:
        """Whether a request that shows no bearer token may change something: no foreign page made a browser send it."""
        browser = "cookie" in headers or "origin" in headers or "sec-fetch-site" in headers
        if not browser or ("cookie" not in headers and headers.get("origin") in self._origins):
            return self._auth.nobody() is not None
        return same_origin(headers)

    async def _principal(self, headers: Headers, path: str) -> tuple[Principal | None, bool]:
        shown, token = self._shown(headers)
        if shown != _COOKIE:
            return (await self._auth.bearer(token, path) if shown == _BEARER else None), False
        return (await self._auth.cookie(token) if token else self._auth.nobody()), True

    def _shown(self, headers: Headers) -> tuple[str, str]:
        """Which kind of credential a request shows, and the credential; a cookie that is not there is empty."""
        if (offered := _offered(headers)) is not None:
            return _BEARER, offered
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme:
            return scheme.lower(), token.strip()
        return _COOKIE, cookie_of(headers, self._auth.cookie_name) or ""

    def _sign_in(self, headers: Headers, scope: Scope) -> Response | None:
        """A browser that opens a page is shown where to sign in; everything else gets a problem."""
        wants_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
        if not wants_page or scope["path"].startswith("/api/") or headers.get("authorization"):
            return None
        return self._entrance.sign_in(scope)


def _offered(headers: Headers) -> str | None:
    """Read the token that a browser offers as a subprotocol of a WebSocket."""
    offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
    return offered[1] if offered[0] == SUBPROTOCOL and len(offered) > 1 else None


def cookie_of(headers: Headers, name: str) -> str | None:
    """Read one cookie; None if there is none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return morsel.value if morsel else None


def same_origin(headers: Headers) -> bool:
    """Whether a browser says that a page of ours made the request."""
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", "")).netloc
    except ValueError:
        return False
    return bool(origin) and origin == headers.get("host")
