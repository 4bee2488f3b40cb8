"""Answers that last, streams and sockets: they end for whoever is not let in any more."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.types import Message, Send

LOOK_S: Final = 2.0
"""Seconds between two looks, each of them before something is sent."""
_NOT_ALLOWED: Final = 1008


class Over(Exception):  # noqa: N818 - it reads as a fact
    """Whoever the answer is for may not have the rest; it was ended."""


class Lasting:
    """The `send` of one answer.

    Args:
        send: The server's.
        lives: Whether who asked would be let in still. That a token has grown old meanwhile is no matter.
        clock: Seconds, monotonic.

    Attributes:
        began: Whether something was sent.
        over: Whether the answer was ended here.
    """

    __slots__ = ("_clock", "_lives", "_next", "_send", "began", "over")

    def __init__(
        self, send: Send, lives: Callable[[], Awaitable[bool]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send = send
        self._lives = lives
        self._clock = clock
        self._next = clock() + LOOK_S
        self.began = False
        self.over = False

    async def __call__(self, message: Message) -> None:
        """Send, or end the answer; raises `Over` then."""
        if self._clock() >= self._next:
            self._next = self._clock() + LOOK_S
            if not await self._lives():
                self.over = True
                await self._end(message["type"])
                raise Over
        self.began = True
        await self._send(message)

    async def _end(self, kind: str) -> None:
        if kind == "http.response.body":
            await self._send({"type": kind, "body": b"", "more_body": False})
        elif kind.startswith("websocket."):
            await self._send({"type": "websocket.close", "code": _NOT_ALLOWED})
