"""Where an authorization may lead back to: an exact address, on this machine with any port."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlencode, urlsplit

_LOOPBACK: Final = re.compile(r"(http://(?:127\.0\.0\.1|\[::1\]))(?::[0-9]{1,5})?((?:[/?].*)?)")
_MOST_CHARACTERS: Final = 2000
_PLAIN: Final = re.compile(r"[\x21-\x7e]+")
_LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_NEVER: Final = frozenset({"javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"})


def is_registered(asked: str, registered: Collection[str]) -> bool:
    """Whether an address is one of a client's: letter for letter, but for the port on 127.0.0.1 and ::1 (RFC 8252)."""
    if refusal_of(asked):
        return False
    return asked in registered or any(_same_but_port(asked, known) for known in registered)


def refusal_of(uri: str) -> str | None:
    """Say why an address must never be led back to; None if it may be registered."""
    if len(uri) > _MOST_CHARACTERS or not _PLAIN.fullmatch(uri) or "\\" in uri or "#" in uri:
        return "A redirect address is plain and has no fragment."
    try:
        parts = urlsplit(uri)
        host = parts.hostname or ""
        _ = parts.port  # reading it checks it
    except ValueError:
        return "This is no address."
    if parts.scheme in {"http", "https"}:
        return _web_refusal(parts.scheme, host, parts.netloc)
    if parts.scheme in _NEVER or "." not in parts.scheme:
        return "An application's own scheme is a domain name in reverse: com.example.app:/callback."
    return None


def host_of(uri: str) -> str:
    """Name where an address leads, for a person."""
    parts = urlsplit(uri)
    return parts.netloc or f"{parts.scheme}:"


def with_parameters(uri: str, parameters: dict[str, str]) -> str:
    """Add parameters to the query of an address."""
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"


def _web_refusal(scheme: str, host: str, authority: str) -> str | None:
    if not host or "@" in authority or "*" in authority:
        return "A redirect address names one host and nobody's password."
    if scheme == "http" and host not in _LOCAL:
        return "Beyond this machine a redirect address must be https."
    return None


def _same_but_port(asked: str, known: str) -> bool:
    one, other = _LOOPBACK.fullmatch(asked), _LOOPBACK.fullmatch(known)
    return one is not None and other is not None and one.groups() == other.groups()
