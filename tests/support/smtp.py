"""A mail server of a few words, for tests."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)


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
async def running_smtp(tls: ssl.SSLContext | None = None, **options: object) -> AsyncIterator[Smtp]:
    """Run one on a free port of this machine; with `tls` it is encrypted from the start."""
    smtp = Smtp(**options)  # type: ignore[arg-type]
    server = await asyncio.start_server(smtp.serve, "127.0.0.1", 0, ssl=tls)
    smtp.port = server.sockets[0].getsockname()[1]
    async with server:
        yield smtp


def make_certificate(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """Make a server's certificate for localhost that nobody has signed: its context, and the file to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), datetime.now(UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + DAY)
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, file = builder.sign(key, hashes.SHA256()), folder / "server.pem"
    plain = serialization.NoEncryption()
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(secret + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file
