"""Access tokens as they should be, and as an attacker makes them; a clock that tests turn."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from joserfc.jwk import RSAKey
from joserfc.jws import JWSRegistry

SECRET_KEY = base64.urlsafe_b64encode(b"a key of tests".ljust(32)).decode()
"""Seals signing keys, in tests alone."""
ISSUER = "https://codelab.test"
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


class Clock:
    """Seconds since the test began, as a monotonic clock, as Unix time and as the time of day."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def unix(self) -> float:
        return MIDNIGHT.timestamp() + self.seconds

    def now(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self.seconds)


class Facts:
    """An audit trail that only remembers."""

    def __init__(self) -> None:
        self.entries: list[Any] = []

    def note(self, _session: Any, entry: Any) -> None:
        self.entries.append(entry)

    async def record(self, entry: Any) -> None:
        self.entries.append(entry)


@lru_cache
def rsa_key(kid: str, bits: int = 2048) -> RSAKey:
    """A key pair of this id, made once: making one takes a tenth of a second."""
    return RSAKey.generate_key(bits, {"kid": kid})


def public(*keys: RSAKey) -> dict[str, Any]:
    """A JWKS."""
    return {"keys": [key.as_dict(private=False, use="sig", alg="RS256") for key in keys]}


def claims(at: float, **more: Any) -> dict[str, Any]:
    """The claims of a good token that is issued at this Unix time; None leaves one out."""
    usual = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": "ann",
        "client_id": "cli",
        "scope": "threads:read",
        "jti": "token-1",
        "iat": int(at),
        "exp": int(at) + 600,
    }
    return {name: value for name, value in (usual | more).items() if value is not None}


def encode(header: Mapping[str, Any], payload: Mapping[str, Any] | bytes, key: Any) -> str:
    """Sign anything with anything, whatever the header says; a key of None leaves the signature empty."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    said = f"{part(json.dumps(header).encode())}.{part(body)}"
    if key is None:
        return f"{said}."
    return f"{said}.{part(JWSRegistry.algorithms[header['alg']].sign(said.encode(), key))}"


def part(raw: bytes) -> str:
    """Base64 as tokens have it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def without(mapping: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """A copy without some members."""
    return {name: value for name, value in mapping.items() if name not in set(names)}
