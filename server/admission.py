"""The credential layer where an application's own authentication looks at each request."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import HTTPConnection, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..auth.seams import Admission
from ..core.errors import CodeLabError
from .refusals import refusal


class Admitted:
    """Nothing but the public paths answers to whom the application does not know.

    Args:
        app: The next layer; it finds the principal in `scope["state"]`.
        admission: The application's own.
        public: What answers to everybody.
    """

    def __init__(self, app: ASGIApp, *, admission: Admission, public: Collection[str]) -> None:
        self._app = app
        self._admission = admission
        self._public = frozenset(public)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Find out who asks."""
        if scope["type"] not in {"http", "websocket"} or scope["path"] in self._public:
            await self._app(scope, receive, send)
            return
        body = Body(receive)
        try:
            asked = Request(scope, body.read) if scope["type"] == "http" else HTTPConnection(scope)
            principal = await self._admission.admit(asked)
        except CodeLabError as exc:
            await refuse(scope, receive, send, exc)
            return
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, body.again, send)


async def refuse(scope: Scope, receive: Receive, send: Send, error: CodeLabError) -> None:
    """Answer with an error; a socket is closed."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
    else:
        await refusal(scope, error)(scope, receive, send)


class Body:
    """A request's messages, to be read once by a layer and once more by what is behind it.

    Args:
        receive: The request's own.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._seen: list[Message] = []

    async def read(self) -> Message:
        """Give the next message, and keep it."""
        message = await self._receive()
        self._seen.append(message)
        return message

    async def again(self) -> Message:
        """Give what was read, then what comes."""
        return self._seen.pop(0) if self._seen else await self._receive()


def with_body(body: bytes, receive: Receive) -> Receive:
    """Give another body than the one that was read, then what comes."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def give() -> Message:
        return waiting.pop() if waiting else await receive()

    return give
