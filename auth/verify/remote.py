"""Public keys of an authorization server in another process, over HTTP."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import httpx
import orjson
import structlog
from joserfc.jwk import RSAKey

from ...core.errors import Unavailable
from .jose import public_key
from .looking import Looking

log = structlog.get_logger(__name__)

PAUSE_S: Final = 10.0
"""Seconds between two looks, however many tokens name a key that is not known, or while the server is down."""
TIMEOUT_S: Final = 5.0
MOST_BYTES: Final = 256 * 1024
MOST_KEYS: Final = 64
_FRESH_S: Final = 300.0
_SHORTEST_S: Final = 30.0
_LONGEST_S: Final = 3600.0
_AGE: Final = re.compile(r"max-age=(\d{1,9})")


class KeyDocument(NamedTuple):
    """A JWKS as it came, and the seconds that it may be kept."""

    jwks: Mapping[str, Any]
    fresh_s: float = _FRESH_S


class RemoteKeys:
    """The `KeySource` of a resource server: a JWKS that is fetched seldom. While its server is down, old keys stay.

    Args:
        url: Of the JWKS.
        fetch: Gets it; raises `Unavailable` if it cannot.
        clock: Seconds, monotonic.
    """

    def __init__(
        self,
        url: str,
        *,
        fetch: Callable[[str], Awaitable[KeyDocument]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._fetch = fetch or fetch_keys
        self._clock = clock
        self._keys: dict[str, RSAKey] = {}
        self._until: float | None = None
        self._down = False
        self._looking = Looking(self._look, pause_s=PAUSE_S, clock=clock)

    async def find(self, kid: str) -> RSAKey | None:
        """See `KeySource`.

        Raises:
            Unavailable: No key could be fetched yet.
        """
        stale = self._until is None or self._clock() >= self._until
        if stale or kid not in self._keys:
            await self._looking.again()
        if self._until is None:
            raise Unavailable("The keys of the authorization server cannot be reached; try again.")
        return self._keys.get(kid)

    async def _look(self) -> None:
        try:
            document = await self._fetch(self._url)
            keys = _read(document.jwks)
        except Unavailable as exc:
            if not self._down:
                log.warning("jwks_lost", url=self._url, error=exc.message)
            self._down = True
            return
        if self._down:
            log.info("jwks_back", url=self._url)
        self._down = False
        # A key that stays is the same object: tokens that were verified with it need not be again.
        self._keys = {kid: self._keys[kid] if self._keys.get(kid) == key else key for kid, key in keys.items()}
        self._until = self._clock() + min(max(document.fresh_s, _SHORTEST_S), _LONGEST_S)


def _read(jwks: Mapping[str, Any]) -> dict[str, RSAKey]:
    listed = jwks.get("keys")
    if not isinstance(listed, list):
        raise Unavailable("The authorization server's keys are no JWKS.")
    keys = [public_key(jwk) for jwk in listed[:MOST_KEYS] if isinstance(jwk, dict)]
    found = {str(key.kid): key for key in keys if key is not None}
    if not found:
        raise Unavailable("The authorization server shows no key that can be used.")
    return found


async def fetch_keys(url: str) -> KeyDocument:
    """Fetch a JWKS: no redirects, no proxies, at most `MOST_BYTES`, within `TIMEOUT_S` in all.

    Raises:
        Unavailable: It is not there, or is no JSON object.
    """
    try:
        async with (
            asyncio.timeout(TIMEOUT_S),
            httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
            client.stream("GET", url, headers={"accept": "application/json"}) as answer,
        ):
            return await _read_answer(answer)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as exc:
        raise Unavailable(f"The authorization server did not answer: {type(exc).__name__}.") from exc


async def _read_answer(answer: httpx.Response) -> KeyDocument:
    if answer.status_code != httpx.codes.OK:
        raise Unavailable(f"The authorization server answered {answer.status_code} instead of its keys.")
    body = b""
    async for piece in answer.aiter_bytes():
        body += piece
        if len(body) > MOST_BYTES:
            raise Unavailable("The authorization server's keys are too large.")
    try:
        jwks = orjson.loads(body)
    except orjson.JSONDecodeError:
        jwks = None
    if not isinstance(jwks, dict):
        raise Unavailable("The authorization server's keys are no JSON object.")
    age = _AGE.search(answer.headers.get("cache-control", ""))
    return KeyDocument(jwks, float(age[1]) if age else _FRESH_S)
