"""One provider at the other end of the line: its address, its headers, and what must not be told of them."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
from aiohttp import ClientResponse

from ..catalog import Provider
from ..errors import Interrupted, UpstreamError
from .failures import read_error, told
from .http import READING, Http, connection_error, malformed
from .sse import Frames, frames

_HIDDEN: Final = "…"
_SHORTEST_SECRET: Final = 8
_LINGER_S: Final = 1.0
"""How long an answer that has said its last word may take to close; then its connection is dropped."""


class Upstream:
    """Sends requests to one provider; errors never carry its key or its address.

    Args:
        key_header: Where the key stands, and what stands before it.
        headers: Sent with every request, below the provider's own.
    """

    def __init__(self, provider: Provider, http: Http, *, key_header: tuple[str, str], headers: dict[str, str]) -> None:
        self.provider = provider
        self.http = http
        self._base = provider.base_url.rstrip("/")
        key = provider.key.get_secret_value() if provider.key is not None else ""
        name, prefix = (provider.key_header, "") if provider.key_header else key_header
        self._headers = {"Content-Type": "application/json", **headers, **provider.headers}
        if key:
            self._headers[name] = prefix + key
        own = [key, *provider.headers.values(), urlsplit(self._base).netloc]
        self._secrets = [secret for secret in own if len(secret) >= _SHORTEST_SECRET]

    async def post(self, path: str, body: bytes, *, timeout_s: float) -> ClientResponse:
        """Send a request below the base URL and wait for a good answer's head; whoever gets it closes it."""
        try:
            return await self.http.post(self._base + path, body, self._headers, timeout_s=timeout_s)
        except UpstreamError as exc:
            raise self.hidden(exc) from None

    async def whole(self, path: str, body: bytes, *, timeout_s: float) -> bytes:
        """Send a request and return its whole answer."""
        return await self.http.read(await self.post(path, body, timeout_s=timeout_s))

    async def open(self, path: str, body: bytes, *, timeout_s: float) -> Reading:
        """Send a request whose answer is a stream."""
        response = await self.post(path, body, timeout_s=timeout_s)
        if response.content_type == "text/event-stream":
            return Reading(response)
        said = read_error(await self.http.read(response))
        raise self.told(said) if said["message"] else malformed()

    def told(self, error: Any) -> UpstreamError:
        """Make the error for one that came in an answer that began well."""
        return self.hidden(told(error))

    def hidden(self, error: UpstreamError) -> UpstreamError:
        """Take our key and address out of what a provider said."""
        for secret in self._secrets:
            error.message = error.message.replace(secret, _HIDDEN)
        error.args = (error.message,)
        return error


class Reading:
    """A streamed answer as it comes off the socket."""

    __slots__ = ("_ended", "_frames", "_read", "_response")

    def __init__(self, response: ClientResponse) -> None:
        self._response = response
        self._read = response.content.readany
        self._frames = Frames()
        self._ended = False

    async def next(self) -> bytes:
        """Wait for more whole frames; at last what was left without a frame's end, then nothing."""
        try:
            while data := await self._read():
                if whole := self._frames.feed(data):
                    return whole
        except READING as exc:
            raise connection_error(exc, begun=True) from exc
        left = self._frames.rest()
        if not all(data.strip() == b"[DONE]" or _is_json(data) for _, data in frames(left)):
            raise Interrupted("The model's answer broke off.")
        self._ended = True
        return left

    def finish(self) -> None:
        """Say that the last word is said: what still comes is not waited for."""
        self._ended = True

    def close(self) -> None:
        """Hang up at once; an answer that was read to its end leaves its connection to the next."""
        response = self._response
        if not self._ended or response.content.exception() is not None:
            response.close()
        elif not response.content.at_eof():
            asyncio.get_running_loop().call_later(_LINGER_S, response.close)


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
