"""A client of the Agent Server API that costs next to nothing: plain sockets, and frames counted as bytes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any


class ApiWire:
    """One kept-open connection to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def open(self) -> ApiWire:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=1 << 22)
        return self

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send JSON, read JSON."""
        self.send(method, path, body)
        status, headers = await self.head()
        content = b"".join([part async for part in self._content(headers)])
        assert status < 300, (status, content[:500])
        return json.loads(content) if content else None

    async def parts(self, method: str, path: str, body: Any = None, **headers: str) -> AsyncIterator[bytes]:
        """Send JSON and follow a stream, as the bytes of its chunks."""
        self.send(method, path, body, **headers)
        status, found = await self.head()
        assert status == 200, status
        async for part in self._content(found):
            yield part

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> None:
        """Send a request; the answer is the caller's to read."""
        content = b"" if body is None else json.dumps(body).encode()
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{more}"
            f"content-length: {len(content)}\r\n\r\n"
        )
        self._writer.write(head.encode() + content)

    async def head(self) -> tuple[int, dict[str, str]]:
        """Read status and headers."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        return int(lines[0].split()[1]), headers

    async def _content(self, headers: dict[str, str]) -> AsyncIterator[bytes]:
        if "content-length" in headers:
            yield await self._reader.readexactly(int(headers["content-length"]))
            return
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
