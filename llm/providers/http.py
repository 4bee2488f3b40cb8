"""The process's connections to model providers: one pool, no cookies, no proxies, no redirects."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp import ClientResponse, ClientSession, ClientTimeout
from aiohttp.client_proto import ResponseHandler

from ..errors import ConnectFailed, Interrupted, Malformed, TimedOut, UpstreamError
from .failures import failure

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of an answer that is not streamed."""
MAX_ERROR: Final = 64 * 1024
_CONNECTIONS: Final = 2_000
_KEEP_ALIVE_S: Final = 30
_CONNECT_S: Final = 10
_OK: Final = 200
_STALE: Final = 3
READING: Final = (aiohttp.ClientError, TimeoutError, OSError)
"""What reading from a connection may raise."""


class _Stale(aiohttp.ServerDisconnectedError):
    """A connection that was kept for the next request was closed by the other side before a word was said."""


class _Line(ResponseHandler):
    """aiohttp's end of a connection; it also knows when it is stale, and looks for more to parse after a pause only."""

    uses = 0
    silent = True

    def set_response_params(self, **given: Any) -> None:
        """Begin with another answer."""
        self.uses += 1
        self.silent = True
        super().set_response_params(**given)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self.silent = self.silent and not data
        super().data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Fail the answer that is waited for."""
        if self.uses > 1 and self.silent and not self.is_eof():
            self.set_exception(_Stale())
        super().connection_lost(exc)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - aiohttp's
        """Go on, if it was stopped: to ask for nothing costs more than the piece that was read."""
        if getattr(self, "_reading_paused", True) or getattr(self, "_buffer_paused", True):
            super().resume_reading(resume_parser)


class Http:
    """Posts JSON and reads what comes; its errors are those of `llm.errors`."""

    def __init__(self) -> None:
        self._session: ClientSession | None = None
        self._timeouts: dict[float, ClientTimeout] = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, timeout_s: float) -> ClientResponse:
        """Send a request and wait for the head of a good answer; whoever gets it closes it.

        Raises:
            UpstreamError: There is no answer, or one that is not 200.
        """
        patience = self._timeout(timeout_s)
        try:
            async with asyncio.timeout(timeout_s + (patience.connect or 0)):  # aiohttp's own does not cover the sending
                response = await self._asked(url, body, headers, patience)
        except (*READING, ValueError) as exc:
            raise connection_error(exc, begun=False) from exc
        if response.status == _OK:
            return response
        raise await _refusal(response)

    async def _asked(
        self, url: str, body: bytes, headers: Mapping[str, str], patience: ClientTimeout
    ) -> ClientResponse:
        """Ask; once more if the connection was one that had been closed meanwhile: nobody has seen the request."""
        post = self._open().post
        for _ in range(_STALE):
            try:
                return await post(url, data=body, headers=headers, timeout=patience, allow_redirects=False)
            except _Stale:
                continue
        raise _Stale

    async def read(self, response: ClientResponse) -> bytes:
        """Read a whole answer and give its connection back; at most `MAX_BODY` bytes."""
        try:
            return await _read(response, MAX_BODY)
        except READING as exc:
            raise connection_error(exc, begun=True) from exc
        finally:
            _settle(response)

    async def close(self) -> None:
        """Close all connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @property
    def open_connections(self) -> int:
        """How many connections are in use: requests on their way."""
        connector = self._session.connector if self._session is not None else None
        return len(connector._acquired) if connector is not None else 0  # noqa: SLF001 - aiohttp tells it nowhere else

    def _open(self) -> ClientSession:
        """Return the session; it is made at first use, and anew for another event loop."""
        session = self._session
        if session is None or session.closed or session._loop is not asyncio.get_running_loop():  # noqa: SLF001
            session = self._session = ClientSession(
                connector=_connector(),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity", "User-Agent": "codelab"},
                trust_env=False,
                auto_decompress=True,
            )
        return session

    def _timeout(self, seconds: float) -> ClientTimeout:
        known = self._timeouts.get(seconds)
        if known is None:
            if len(self._timeouts) > 64:  # noqa: PLR2004 - deadlines that shrink make many
                self._timeouts.clear()
            connect = min(seconds, _CONNECT_S)
            known = self._timeouts[seconds] = ClientTimeout(
                total=None, connect=connect, sock_connect=connect, sock_read=seconds
            )
        return known


def _connector() -> aiohttp.TCPConnector:
    made = aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_ALIVE_S, ttl_dns_cache=60)
    # aiohttp has no public place for it
    made._factory = partial(_Line, loop=made._loop)  # type: ignore[assignment]  # noqa: SLF001
    return made


def connection_error(error: BaseException, *, begun: bool) -> UpstreamError:
    """Name what went wrong on the way; never with an address in it."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return ConnectFailed("The model's provider could not be reached in time.")
    if isinstance(error, TimeoutError):
        return TimedOut("The model was silent for too long.")
    if isinstance(error, aiohttp.ClientResponseError | aiohttp.InvalidURL | ValueError):
        return Malformed("The model's provider does not speak HTTP as it should.")
    if begun:
        return Interrupted("The model's answer broke off.")
    return ConnectFailed("The model's provider could not be reached, or hung up.")


async def _refusal(response: ClientResponse) -> UpstreamError:
    try:
        body = await _read(response, MAX_ERROR, cut=True)
    except READING:
        body = b""  # the status says enough
    finally:
        _settle(response)
    return failure(response.status, response.headers, body)


async def _read(response: ClientResponse, limit: int, *, cut: bool = False) -> bytes:
    read, parts, size = response.content.readany, [], 0
    while data := await read():
        parts.append(data)
        size += len(data)
        if size > limit:
            if cut:
                break
            raise Malformed("The model's answer is too long.")
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _settle(response: ClientResponse) -> None:
    """Give the connection back if the answer was read to its end, else drop it now."""
    if not response.content.at_eof() or response.content.exception() is not None:
        response.close()


def malformed() -> Malformed:
    """Make the error for bytes that are not what the provider's API says."""
    return Malformed("The model sent something that is not an answer.")
