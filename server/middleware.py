"""Pure ASGI layers around every request, outermost first: guard (host, size), correlation and headers, credential."""

from __future__ import annotations

import re
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..auth.seams import Authenticator
from ..core.errors import Forbidden, InvalidInput, TooLarge, Unauthenticated
from ..core.types import Principal, new_id
from .refusals import refusal

MAX_BODY = 4 * 1024 * 1024
PUBLIC = frozenset({"/ok", "/info", "/health", "/health/live", "/health/ready", "/login"})
PUBLIC_PREFIXES = ("/static/",)
SOCKETS = re.compile(r"/threads/[0-9A-Za-z-]{1,64}/stream/events")
"""Where a WebSocket is served; nowhere else is one let in."""
SUBPROTOCOL = "bearer"
"""A browser cannot set headers of a WebSocket: it offers the subprotocols `bearer` and the token."""
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})

_CORRELATION = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_LENGTH = re.compile(r"[0-9]{1,18}")
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}


def host_name(host: str) -> str:
    """Read the name in a Host header, without port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:  # an address with half its brackets
        return ""


class Guard:
    """Refuses a foreign Host (DNS rebinding) and bodies beyond `MAX_BODY` bytes.

    Args:
        app: The next layer.
        hosts: Host names that are ours; `*` allows any (when bound to a public address behind a proxy).
        sockets: Where a WebSocket is let in.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str], sockets: re.Pattern[str] = SOCKETS) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._sockets = sockets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        headers = Headers(scope=scope) if scope["type"] in {"http", "websocket"} else Headers()
        if scope["type"] == "websocket" and not (self._is_ours(headers) and self._sockets.fullmatch(scope["path"])):
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if not self._is_ours(headers):
            await refusal(scope, InvalidInput("This host name is not served here.", code="bad_host"))(
                scope, receive, send
            )
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:  # nothing has such a name; databases choke on it
            await refusal(scope, InvalidInput("The address holds a NUL character.", code="bad_path"))(
                scope, receive, send
            )
            return
        length = headers.get("content-length", "0")
        if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY:
            error = TooLarge(f"A request body may hold at most {MAX_BODY} bytes.")
            await refusal(scope, error)(scope, receive, send)
            return
        await self._app(scope, _bounded(receive), send)

    def _is_ours(self, headers: Headers) -> bool:
        return "*" in self._hosts or host_name(headers.get("host", "")) in self._hosts


def _bounded(receive: Receive) -> Receive:
    """Count a streamed body; beyond the limit the request ends as if the client had gone."""
    seen = 0

    async def bounded() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        return {"type": "http.disconnect"} if seen > MAX_BODY else message

    return bounded


class Correlate:
    """Gives every request a correlation id, binds it to the logs, and sets the security headers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the request under its id."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        inbound = Headers(scope=scope).get("x-correlation-id", "")
        correlation = inbound if _CORRELATION.fullmatch(inbound) else new_id()
        scope.setdefault("state", {})["correlation_id"] = correlation

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message["headers"]))
                headers["x-correlation-id"] = correlation
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                message = {**message, "headers": headers.raw}
            await send(message)

        with structlog.contextvars.bound_contextvars(correlation_id=correlation):
            await self._app(scope, receive, with_headers)


class Credential:
    """Nothing but the public paths answers without a credential; the principal is left in `scope["state"]`.

    A cookie authorises a change only for a request from our own pages (Origin or Sec-Fetch-Site).

    Args:
        app: The next layer.
        auth: Who may come in.
        origins: Pages of others that may use what needs no credential, as cross-origin rules let them.
        public: What answers without a credential.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        auth: Authenticator,
        origins: Collection[str] = (),
        public: Collection[str] = PUBLIC,
    ) -> None:
        self._app = app
        self._auth = auth
        self._origins = frozenset(origins)
        self._public = frozenset(public)
        self._public_prefixes = PUBLIC_PREFIXES if public is PUBLIC else ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
            return
        if scope["type"] != "http" or self._is_public(scope["path"]):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        principal, by_cookie = await self._principal(headers, scope["path"])
        if principal is None:
            response = _sign_in(headers, scope) or refusal(
                scope,
                Unauthenticated("Send Authorization: Bearer <token>, or open the sign-in link the server printed."),
                headers={"www-authenticate": 'Bearer realm="codelab"'},
            )
            await response(scope, receive, send)
            return
        if by_cookie and scope["method"] not in SAFE_METHODS and not self._is_own_page(headers):
            foreign = Forbidden("This request did not come from our own page.", code="bad_origin")
            await refusal(scope, foreign)(scope, receive, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)

    async def _socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As for HTTP, but that a cookie never counts for another origin: a socket can do everything."""
        headers = Headers(scope=scope)
        offered = [name.strip() for name in headers.get("sec-websocket-protocol", "").split(",")]
        state = scope.setdefault("state", {})
        if offered[0] == SUBPROTOCOL and len(offered) > 1:
            principal = await self._auth.bearer(offered[1], scope["path"])
            state["subprotocol"] = SUBPROTOCOL
        else:
            principal, by_cookie = await self._principal(headers, scope["path"])
            principal = None if by_cookie and not self._is_own_page(headers) else principal
        if principal is None:
            await send({"type": "websocket.close", "code": 1008})
            return
        state["principal"] = principal
        await self._app(scope, receive, send)

    def _is_public(self, path: str) -> bool:
        return path in self._public or (path.startswith(self._public_prefixes) and ".." not in path)

    def _is_own_page(self, headers: Headers) -> bool:
        """Whether a request that shows no bearer token may change something: no foreign page made a browser send it."""
        browser = "cookie" in headers or "origin" in headers or "sec-fetch-site" in headers
        if not browser or ("cookie" not in headers and headers.get("origin") in self._origins):
            return self._auth.nobody() is not None
        return _same_origin(headers)

    async def _principal(self, headers: Headers, path: str) -> tuple[Principal | None, bool]:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme:
            return (await self._auth.bearer(token.strip(), path) if scheme.lower() == "bearer" else None), False
        value = cookie_of(headers, self._auth.cookie_name)
        return (await self._auth.cookie(value) if value else self._auth.nobody()), True


def cookie_of(headers: Headers, name: str) -> str | None:
    """Read one cookie; None if there is none."""
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(name)
    except CookieError:
        return None
    return morsel.value if morsel else None


def _same_origin(headers: Headers) -> bool:
    if site := headers.get("sec-fetch-site"):
        return site == "same-origin"
    try:
        origin = urlsplit(headers.get("origin", "")).netloc
    except ValueError:
        return False
    return bool(origin) and origin == headers.get("host")


def _sign_in(headers: Headers, scope: Scope) -> Any:
    """A browser that opens a page gets the sign-in page, with 401; everything else gets a problem."""
    wants_page = scope["method"] == "GET" and "text/html" in headers.get("accept", "")
    if not wants_page or scope["path"].startswith("/api/"):
        return None
    from .pages import signed_out  # noqa: PLC0415 - brings Jinja, which an application without pages does not need

    return signed_out()
