"""Errors in OpenAI's envelope."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, Final

import orjson

from ...core.errors import CodeLabError
from ...llm.errors import BudgetExceeded, UpstreamError

_KINDS: Final[Mapping[int, str]] = {
    401: "authentication_error",
    402: "insufficient_quota",
    403: "permission_error",
    429: "rate_limit_error",
}
_SERVER: Final = 500
_NO_USE_AGAIN: Final = frozenset({"not_cached", "unsupported"})
"""Server errors that will be the same next time: the official clients would try them again."""
_RETRY_AFTER: Final = frozenset({429, 503})
_SOON_S: Final = 1.0
_ALSO: Final[Mapping[int, tuple[bytes, bytes]]] = {
    401: (b"www-authenticate", b'Bearer realm="codelab"'),
    408: (b"connection", b"close"),  # the rest of what is sent is not read
}


def envelope(error: CodeLabError) -> dict[str, Any]:
    """Render an error as the member `error` of an answer."""
    kind = "api_error" if error.status >= _SERVER else "invalid_request_error"
    return {
        "message": error.message,
        "type": getattr(error, "kind", None) or _KINDS.get(error.status, kind),
        "param": getattr(error, "param", None) or error.extra.get("param"),
        "code": error.code,
    }


def error_body(error: CodeLabError) -> bytes:
    """Render an error as a whole answer."""
    return orjson.dumps({"error": envelope(error)})


def error_frame(error: CodeLabError) -> bytes:
    """Render an error in the middle of a stream: it tells whether the same request is worth another try."""
    again = error.retryable if isinstance(error, UpstreamError) else error.status >= _SERVER
    return b"data: " + orjson.dumps({"error": {**envelope(error), "retryable": again}}) + b"\n\n"


def error_headers(error: CodeLabError) -> list[tuple[bytes, bytes]]:
    """When to come again, and how to sign in."""
    if error.headers:
        return [(name.encode(), value.encode()) for name, value in error.headers.items()]
    if error.status in _RETRY_AFTER:
        wait = getattr(error, "retry_after", None) or error.extra.get("retry_after") or _SOON_S
        return [_retry_after(wait)]
    if isinstance(error, BudgetExceeded) and error.retry_after:
        return [_retry_after(error.retry_after)]
    if error.status in _ALSO:
        return [_ALSO[error.status]]
    if allow := error.extra.get("allow"):
        return [(b"allow", allow.encode())]
    return [(b"x-should-retry", b"false")] if error.code in _NO_USE_AGAIN else []


def _retry_after(seconds: float) -> tuple[bytes, bytes]:
    return b"retry-after", b"%d" % max(1, ceil(seconds))
