"""One request and its answer, as raw ASGI: a new message for every send, and the headers that every answer has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from starlette.types import Receive, Scope, Send

from ...core.errors import CodeLabError, TooLarge
from ...core.types import new_id
from ...llm.resilience.watch import Watch
from ..middleware import SECURITY_HEADERS

MAX_BODY: Final = 20 * 1024 * 1024
"""Pictures travel inside."""
BODY_S: Final = 60.0
"""A body comes within so many seconds: who sends it drop by drop holds a connection for nothing."""
_CORRELATION: Final = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_ALWAYS: Final = [
    (b"cache-control", b"no-store"),
    *((name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()),
]
_JSON: Final = (b"content-type", b"application/json")
_SSE: Final = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"x-accel-buffering", b"no")]

Headers = Sequence[tuple[bytes, bytes]]


class TooSlow(CodeLabError):  # noqa: N818
    """The request's body does not come."""

    status = 408
    default_code = "request_timeout"


class Gone(Exception):  # noqa: N818 - it reads as a fact
    """The client has hung up."""


class Exchange:
    """One request and its answer.

    Args:
        scope: The request's.
        receive: Gives its body.
        send: Takes the answer.
        watch: Ends waits that take too long.

    Attributes:
        id: Ours, new for every request; it names the request in the ledger and in `x-request-id`.
        headers: The request's; of those with one name, the last.
        begun: Whether the answer's head is on its way.
        streaming: Whether it is a stream of events.
    """

    __slots__ = ("_always", "_watch", "begun", "correlation", "headers", "id", "method", "path", "receive", "send",
                 "streaming")  # fmt: skip

    def __init__(self, scope: Scope, receive: Receive, send: Send, watch: Watch) -> None:
        self._watch = watch
        self.receive = receive
        self.send = send
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.id = new_id()
        self.begun = self.streaming = False
        sent = self.headers.get(b"x-correlation-id", b"")
        self.correlation = sent if _CORRELATION.fullmatch(sent) else self.id.encode()
        self._always = [(b"x-request-id", self.id.encode()), (b"x-correlation-id", self.correlation), *_ALWAYS]

    async def body(self) -> bytes:
        """Read the request's body.

        Raises:
            TooLarge: It is larger than `MAX_BODY` bytes.
            TooSlow: It has not come after `BODY_S` seconds.
            Gone: The client hung up.
        """
        length = self.headers.get(b"content-length", b"0")
        if not _LENGTH.fullmatch(length) or int(length) > MAX_BODY:
            raise _too_large()
        try:
            return await self._watch.bound(self._read(), BODY_S)
        except TimeoutError as exc:
            raise TooSlow(f"The request's body did not come within {BODY_S:g} s.") from exc

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise Gone
            part, more = message.get("body", b""), message.get("more_body", False)
            size += len(part)
            if size > MAX_BODY:
                raise _too_large()
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def reply(self, status: int, body: bytes, headers: Headers = ()) -> None:
        """Send a whole answer of JSON."""
        length = (b"content-length", b"%d" % len(body))
        await self._begin(status, [_JSON, length, *self._always, *headers])
        await self.send({"type": "http.response.body", "body": body})

    async def begin_stream(self, headers: Headers) -> None:
        """Send the head of a stream of events."""
        self.streaming = True
        await self._begin(200, [*_SSE, *self._always, *headers])

    async def write(self, frames: bytes, *, last: bool = False) -> None:
        """Send some events; `last` ends the answer."""
        await self.send({"type": "http.response.body", "body": frames, "more_body": not last})

    async def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.begun = True
        await self.send({"type": "http.response.start", "status": status, "headers": headers})


def _too_large() -> TooLarge:
    return TooLarge(f"A request body may hold at most {MAX_BODY} bytes.")
