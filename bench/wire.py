"""A client that costs next to nothing, so that what is measured is the service: HTTP/1.1 and SSE on plain sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any


class Wire:
    """One kept-open connection.

    Args:
        port: On this machine.
        token: The bearer token.
    """

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    async def open(self) -> Wire:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        return self

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send JSON, read JSON."""
        self._send("POST", path, json.dumps(body).encode())
        status, headers = await self._head()
        content = await self._reader.readexactly(int(headers["content-length"]))
        assert status < 300, content
        answer: dict[str, Any] = json.loads(content)
        return answer

    async def follow(self, path: str) -> AsyncIterator[dict[str, Any]]:
        """Open a stream; what comes is read as it is asked for."""
        self._send("GET", path, b"")
        status, _ = await self._head()
        assert status == 200, status
        return self._events()

    async def _events(self) -> AsyncIterator[dict[str, Any]]:
        while size := int(await self._reader.readline(), 16):
            chunk = await self._reader.readexactly(size + 2)
            for line in chunk.splitlines():
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def _send(self, method: str, path: str, body: bytes) -> None:
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {self._token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)

    async def _head(self) -> tuple[int, dict[str, str]]:
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), headers
