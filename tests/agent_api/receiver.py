"""A server that webhooks are sent to: it keeps what it got and answers as it was told to."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Answer = Callable[[int], bytes]


def answering(*statuses: int, head: str = "", body: str = "") -> Answer:
    """Answer with each status in turn; the last one stays."""

    def answer(count: int) -> bytes:
        status = statuses[min(count, len(statuses) - 1)]
        return f"HTTP/1.1 {status} x\r\ncontent-length: {len(body)}\r\n{head}\r\n{body}".encode()

    return answer


@dataclass
class Got:
    """One request."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Receiver:
    """What arrived, and how it is answered."""

    answer: Answer = field(default_factory=lambda: answering(200))
    delay_s: float = 0
    port: int = 0
    got: list[Got] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        line, *fields = head.strip().split("\r\n")
        headers = {name.lower(): value for name, value in (one.split(": ", 1) for one in fields)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.got.append(Got(line, headers, body))
        self.arrived.set()
        await asyncio.sleep(self.delay_s)
        writer.write(self.answer(len(self.got) - 1))
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving(receiver: Receiver, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """Listen on a loopback port."""
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0, ssl=tls)
    receiver.port = server.sockets[0].getsockname()[1]
    async with server:
        yield receiver
