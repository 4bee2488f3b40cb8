"""One call of a webhook: signed, to a checked address, and short."""

from __future__ import annotations

import asyncio
import hmac
import ssl
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import httpx

from ...core.settings import WebhookSettings
from .guard import Endpoint, Resolver, SystemResolver, checked_addresses, read_endpoint

_TRIED: Final = 3


def signature(secret: str, at: int, body: bytes) -> str:
    """Sign a body: `t=<seconds>,v1=<hex of HMAC-SHA256 over "<seconds>.<body>">`; the time makes replays plain."""
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()
    return f"t={at},v1={digest}"


class Caller:
    """Calls webhooks.

    Args:
        rules: What may be called, and for how long.
        resolver: Looks up hosts; default: asks the system.
        tls: Which certificates are believed; default: the usual authorities.
    """

    def __init__(
        self, rules: WebhookSettings, *, resolver: Resolver | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self._rules = rules
        self._resolver = resolver or SystemResolver()
        self._tls = tls

    async def check(self, url: str) -> None:
        """Refuse a URL that would not be called.

        Raises:
            WebhookRefused: It may not be called.
            WebhookUnresolved: Its host has no address.
        """
        await checked_addresses(read_endpoint(url, self._rules), self._rules, self._resolver)

    async def call(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """POST a body and tell the status; nothing of the answer but that is read, and no redirect is followed.

        Raises:
            WebhookRefused, WebhookUnresolved: As `check`; a host may have moved since.
            httpx.HTTPError: It could not be reached.
            TimeoutError: It took too long.
        """
        endpoint = read_endpoint(url, self._rules)
        addresses = await checked_addresses(endpoint, self._rules, self._resolver)
        async with asyncio.timeout(self._rules.timeout_s):
            return await self._first_that_answers(endpoint, addresses[:_TRIED], body, headers)

    async def _first_that_answers(
        self, endpoint: Endpoint, addresses: list[str], body: bytes, headers: Mapping[str, str]
    ) -> int:
        if self._tls is None:
            self._tls = await asyncio.to_thread(httpx.create_ssl_context, trust_env=False)
        *others, last = addresses
        # A client for each call: a kept connection to an address could be another host's. No proxy: it would look up
        # the host itself.
        limit = httpx.Timeout(self._rules.timeout_s)
        async with httpx.AsyncClient(verify=self._tls, trust_env=False, timeout=limit) as client:
            for address in others:
                try:
                    return await self._post(client, endpoint, address, (body, headers))
                except httpx.ConnectError:
                    continue
            return await self._post(client, endpoint, last, (body, headers))

    async def _post(
        self, client: httpx.AsyncClient, endpoint: Endpoint, address: str, sent: tuple[bytes, Mapping[str, str]]
    ) -> int:
        body, headers = sent
        request = client.build_request(
            "POST",
            endpoint.url_at(address),
            content=body,
            headers={**headers, "host": endpoint.authority},
            extensions={"sni_hostname": endpoint.host},
        )
        response = await client.send(request, stream=True, follow_redirects=False)
        await response.aclose()
        return response.status_code
