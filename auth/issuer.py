"""Who we are: the issuer's name, and what follows from it."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from ..core.errors import ConfigError
from ..core.settings import Settings

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
MCP_PATH: Final = "/mcp"


def issuer_of(settings: Settings) -> str:
    """Name the issuer: `SERVER__PUBLIC_URL`, else the address on this machine.

    Raises:
        ConfigError: Others could not reach it, or could listen in.
    """
    server = settings.server
    if server.public_url is None:
        if server.host not in LOOPBACK or not server.port:
            raise ConfigError("AUTH__MODE=oauth needs SERVER__PUBLIC_URL: the https address people and clients use.")
        name = f"[{server.host}]" if ":" in server.host else server.host
        return f"http://{name}:{server.port}"
    url = urlsplit(server.public_url)
    if url.path.strip("/") or url.query or url.fragment or url.username is not None or not url.hostname:
        raise ConfigError("SERVER__PUBLIC_URL is scheme, host and port alone: https://codelab.example.org")
    if url.scheme != "https" and not (url.scheme == "http" and url.hostname in LOOPBACK):
        raise ConfigError("SERVER__PUBLIC_URL must be https:// beyond this machine: people send their passwords there.")
    return f"{url.scheme}://{url.netloc}".lower()


def is_secure(issuer: str) -> bool:
    """Whether browsers may keep our cookies for encrypted connections alone."""
    return issuer.startswith("https://")


def session_cookie(issuer: str) -> str:
    """Name the cookie of a browser session; Python clients never send a `Secure` one back over http."""
    return "__Host-sid" if is_secure(issuer) else "sid"


def audiences_at(issuer: str, path: str) -> frozenset[str]:
    """Which audiences a token may be meant for that is shown at this path."""
    if path == MCP_PATH or path.startswith(f"{MCP_PATH}/"):
        return frozenset({issuer, issuer + MCP_PATH})
    return frozenset({issuer})
