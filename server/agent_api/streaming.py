"""The response of the many long streams: sse-starlette's, but for the price of one that is open.

There each has four tasks in a group of their own. Here it has two: the request's, which sends, and one that hears the
client leave. What all of them wait for, the next heartbeat and the server's end, is one task per app.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from contextvars import Context
from typing import Final

from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

HEARTBEAT_S: Final = 5.0
_LOOK_S: Final = 1.0
_HEARTBEAT: Final = b": heartbeat\n\n"


class Frames(EventSourceResponse):
    """Answer with frames, kept alive by comments while there are none.

    Args:
        chunks: Whole frames, each time as many as there are. Closed when the client leaves or the server ends.
        headers: More of them.
    """

    def __init__(self, chunks: AsyncGenerator[bytes, None], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(chunks, headers={"cache-control": "no-store", **(headers or {})})
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the frames end, the client leaves or the server ends."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        streams: OpenStreams = scope["app"].state.streams
        try:
            async with asyncio.timeout(None) as life:
                with streams.opened(Stream(send, life)) as stream, _hearing(receive, stream):
                    async with aclosing(self._chunks) as chunks:
                        async for chunk in chunks:
                            await stream.send(chunk)
        except TimeoutError:
            if not life.expired():
                raise
        else:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    @classmethod
    async def server_ends(cls) -> None:
        """Wait until the server is told to end."""
        await cls._listen_for_exit_signal()


class Stream:
    """One stream that is open."""

    __slots__ = ("_beating", "_busy", "_life", "_send", "_sent")

    def __init__(self, send: Send, life: asyncio.Timeout) -> None:
        self._send = send
        self._life = life
        self._busy = False
        self._sent = _now()
        self._beating: asyncio.Task[None] | None = None

    async def send(self, body: bytes) -> None:
        """Send whole frames; waits while the client is slow."""
        self._busy = True
        await self._send({"type": "http.response.body", "body": body, "more_body": True})
        self._busy = False
        self._sent = _now()

    def beat(self) -> None:
        """Send a comment, if nothing was sent for a while."""
        if not self._busy and _now() - self._sent >= HEARTBEAT_S:
            self._beating = asyncio.create_task(self.send(_HEARTBEAT))

    def end(self) -> None:
        """Stop sending where it is."""
        if not self._life.expired():
            self._life.reschedule(_now())


class OpenStreams:
    """The open streams of an app: one task, while there are any, keeps them alive and ends them with the server."""

    def __init__(self) -> None:
        self._open: set[Stream] = set()
        self._watching: asyncio.Task[None] | None = None

    @contextmanager
    def opened(self, stream: Stream) -> Iterator[Stream]:
        """Look after a stream as long as the block lasts."""
        self._open.add(stream)
        if self._watching is None or self._watching.done() or self._watching.get_loop() is not _loop():
            self._watching = _loop().create_task(self._watch(), context=Context())
        try:
            yield stream
        finally:
            self._open.discard(stream)

    async def _watch(self) -> None:
        ending = asyncio.create_task(Frames.server_ends())
        try:
            while self._open:
                await asyncio.wait({ending}, timeout=_LOOK_S)
                for stream in tuple(self._open):
                    stream.end() if ending.done() else stream.beat()
        finally:
            ending.cancel()


@contextmanager
def _hearing(receive: Receive, stream: Stream) -> Iterator[None]:
    """End the stream when its client leaves."""

    async def hear() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        stream.end()

    hearing = _loop().create_task(hear(), context=Context())
    try:
        yield
    finally:
        hearing.cancel()


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def _now() -> float:
    return _loop().time()
