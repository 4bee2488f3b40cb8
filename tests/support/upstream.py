"""A model provider that says what a test tells it to, over a real socket, byte for byte."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson

SSE = "text/event-stream"
JSON = "application/json"


@dataclass
class Asked:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict


@dataclass
class Line:
    """The provider's end of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self, status: int = 200, kind: str = JSON, length: int | None = None, **headers: str) -> None:
        lines = [f"HTTP/1.1 {status} Something", f"content-type: {kind}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        lines += ["transfer-encoding: chunked" if length is None else f"content-length: {length}"]
        await self.send("\r\n".join([*lines, "", ""]).encode())

    async def chunk(self, data: bytes) -> None:
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self) -> None:
        await self.send(b"0\r\n\r\n")


Reply = Callable[[Line], Awaitable[None]]


@dataclass
class Upstream:
    """A provider that listens.

    Attributes:
        asked: What it was asked.
        replies: What it answers, one after another; the last one again and again.
        begun: Set when a request has come.
        hung_up: Set when the client closed a connection while it was answered, or after.
    """

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (asked := await _request(reader)) is not None:
                self.asked.append(asked)
                self.begun.set()
                reply = self.replies[0] if len(self.replies) == 1 else self.replies.pop(0)
                watch = asyncio.create_task(reader.read(1)) if getattr(reply, "watches", False) else None
                await reply(Line(reader, writer))
                if watch is not None:
                    await watch
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.hung_up.set()
            writer.transport.abort()


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(first.split(" ")[1], headers, orjson.loads(body or b"{}"))


@asynccontextmanager
async def upstream(*replies: Reply):
    """Serve the replies while the block runs."""
    made = Upstream(replies=list(replies))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


def whole(body: bytes | dict, status: int = 200, kind: str = JSON, **headers: str) -> Reply:
    """Answer at once."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)

    async def reply(line: Line) -> None:
        await line.head(status, kind, len(data), **headers)
        await line.send(data)

    return reply


def streamed(*parts: bytes, ends: bool = True, cut: bool = False, pause: float = 0) -> Reply:
    """Answer with a stream of these bytes, a chunk each; `cut` drops the connection without its end."""

    async def reply(line: Line) -> None:
        await line.head(kind=SSE)
        for part in filter(None, parts):
            await line.chunk(part)
            if pause:
                await asyncio.sleep(pause)
        if cut:
            raise ConnectionError
        if ends:
            await line.end()

    return reply


def silent(*parts: bytes) -> Reply:
    """Say some parts, then nothing more until the client hangs up."""

    async def reply(line: Line) -> None:
        if parts:
            await line.head(kind=SSE)
            for part in parts:
                await line.chunk(part)

    reply.watches = True
    return reply


def half(body: bytes) -> Reply:
    """Answer with half a body, then drop the connection."""

    async def reply(line: Line) -> None:
        await line.head(length=len(body))
        await line.send(body[: len(body) // 2])
        raise ConnectionError

    return reply


def gone() -> Reply:
    """Take the request and hang up."""

    async def reply(_: Line) -> None:
        raise ConnectionError

    return reply


def frame(data: dict | bytes, event: str = "") -> bytes:
    """Write one server-sent event."""
    name = f"event: {event}\n".encode() if event else b""
    return name + b"data: " + (data if isinstance(data, bytes) else orjson.dumps(data)) + b"\n\n"


def drip(data: bytes) -> Sequence[bytes]:
    """Cut bytes into single ones."""
    return [data[at : at + 1] for at in range(len(data))]
