"""A mail server of a few words, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Smtp:
    """Keeps the mails it is given, and every word that clients said.

    Args:
        extensions: What it says it can do.
        refuses: A command that it answers with 550.
    """

    def __init__(self, *, extensions: tuple[str, ...] = (), refuses: str = "") -> None:
        self.mails: list[bytes] = []
        self.said: list[str] = []
        self.port = 0
        self._extensions = extensions
        self._refuses = refuses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 test\r\n")
        while line := (await reader.readline()).decode().strip():
            self.said.append(line)
            verb = line.split()[0].upper()
            if verb == self._refuses:
                writer.write(b"550 no\r\n")
            elif verb == "EHLO":
                lines = ["test", *self._extensions]
                words = [f"250{' ' if n == len(lines) - 1 else '-'}{word}\r\n" for n, word in enumerate(lines)]
                writer.write("".join(words).encode())
            elif verb == "AUTH":
                writer.write(b"235 ok\r\n")
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                self.mails.append(await reader.readuntil(b"\r\n.\r\n"))
                writer.write(b"250 ok\r\n")
            elif verb == "QUIT":
                break
            else:
                writer.write(b"250 ok\r\n")
        writer.close()


@asynccontextmanager
async def running_smtp(**options: object) -> AsyncIterator[Smtp]:
    """Run one on a free port of this machine."""
    smtp = Smtp(**options)  # type: ignore[arg-type]
    server = await asyncio.start_server(smtp.serve, "127.0.0.1", 0)
    smtp.port = server.sockets[0].getsockname()[1]
    async with server:
        yield smtp
