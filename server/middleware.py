"""Pure ASGI layers around every request, outermost first: guard (host, size), correlation and headers.

The credential comes after them (`credential.py`).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..core.errors import InvalidInput, TooLarge
from ..core.types import new_id
from .refusals import refusal

MAX_BODY = 4 * 1024 * 1024
SOCKETS = re.compile(r"/threads/[0-9A-Za-z-]{1,64}/stream/events")
"""Where a WebSocket is served; nowhere else is one let in."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]", "::1"})

_INTERNAL: Final = (b"x-internal-", b"x-codelab-")
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
        if scope["type"] == "websocket":
            await self._app(_without_internal(scope), receive, send)
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
        await self._app(_without_internal(scope), _bounded(receive), send)

    def _is_ours(self, headers: Headers) -> bool:
        return "*" in self._hosts or host_name(headers.get("host", "")) in self._hosts


def _without_internal(scope: Scope) -> Scope:
    """Leave out headers that only a service of ours may send: nobody outside speaks for one."""
    if not any(name.startswith(_INTERNAL) for name, _ in scope["headers"]):
        return scope
    return {**scope, "headers": [(n, v) for n, v in scope["headers"] if not n.startswith(_INTERNAL)]}


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
