"""Where a webhook may go: URLs come from clients, and must not reach what only this machine can reach."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

import httpx

from ...core.errors import InvalidInput
from ...core.settings import WebhookSettings

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Names the addresses of a host; `OSError` when there are none."""

_LONGEST: Final = 2048
_URL: Final = re.compile(r"(?i:https?)://(?P<authority>[^/?#\\]+)([/?#][!-\[\]-~]*)?")
_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*\.?")
_NUMBER: Final = re.compile(r"0[xX][0-9A-Fa-f]*|[0-9]+")
_LAST_PORT: Final = 65_535
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_BY_WAY_OF_OTHERS: Final = ("::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16")
_OF_CLOUDS: Final = ("fd00:ec2::/32", "100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32")
_OF_LINKS: Final = ("169.254.0.0/16", "fe80::/10", "fec0::/10", "0.0.0.0/8", "192.88.99.0/24")
_NEVER: Final = tuple(ip_network(net) for net in (*_BY_WAY_OF_OTHERS, *_OF_CLOUDS, *_OF_LINKS))
"""Mapped, translated and tunnelled addresses, which lead to other ones; clouds' own services; what is on the link."""


class WebhookRefused(InvalidInput):
    """This server does not call that URL."""

    default_code = "webhook_refused"


class WebhookUnresolved(InvalidInput):
    """The host has no address at the moment."""

    default_code = "webhook_unresolved"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL taken apart; `host` is a name or an address, `path` is what is asked for, query included."""

    scheme: str
    host: str
    port: int
    path: bytes
    authority: str

    def url_at(self, address: str) -> httpx.URL:
        """Name the same place by an address, so that nobody looks up the host again."""
        return httpx.URL(scheme=self.scheme, host=address, port=self.port, raw_path=self.path)


def read_endpoint(url: str, rules: WebhookSettings) -> Endpoint:
    """Take a URL apart; every doubtful form is refused, not interpreted.

    Raises:
        WebhookRefused: Scheme, host, port or form are not allowed.
    """
    form = _URL.fullmatch(url) if len(url) <= _LONGEST and url.isascii() else None
    if form is None:
        raise WebhookRefused(f"Webhook must be an absolute https URL of at most {_LONGEST} ASCII characters")
    authority = form["authority"]
    if "@" in authority:
        raise WebhookRefused("A webhook carries no user or password; check its signature instead")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError) as exc:
        raise WebhookRefused("The webhook is not a URL") from exc
    if parsed.scheme == "http" and not rules.allow_http:
        raise WebhookRefused("Webhook must use https; CODELAB_WEBHOOKS__ALLOW_HTTP=true lets http pass")
    _check_host(parsed.host, authority)
    port = _DEFAULT_PORTS[parsed.scheme] if parsed.port is None else parsed.port
    _check_port(port, rules)
    return Endpoint(parsed.scheme, parsed.host, port, parsed.raw_path, parsed.netloc.decode("ascii"))


def _check_port(port: int, rules: WebhookSettings) -> None:
    if not 1 <= port <= _LAST_PORT:
        raise WebhookRefused("The webhook's port is none")
    if rules.ports and port not in rules.ports:
        allowed = ", ".join(map(str, rules.ports))
        raise WebhookRefused(f"Webhooks go to the ports {allowed}; CODELAB_WEBHOOKS__PORTS lists them")


def _check_host(host: str, authority: str) -> None:
    if authority.startswith("["):
        if "%" in authority or not isinstance(_address(host), IPv6Address):
            raise WebhookRefused("The webhook's host is no IPv6 address")
        return
    if not _HOST.fullmatch(host):
        raise WebhookRefused("The webhook's host is not a host name in ASCII")
    if _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) and not isinstance(_address(host), IPv4Address):
        # 2130706433, 0x7f.1 and 0177.0.0.1 are all 127.0.0.1 to some resolver.
        raise WebhookRefused("The webhook's host is no IPv4 address in its usual form")


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def is_allowed(address: IPv4Address | IPv6Address, rules: WebhookSettings) -> bool:
    """Tell whether an address may be called."""
    if address.is_loopback:
        return rules.allow_private
    if address.is_multicast or address.is_reserved or any(address in net for net in _NEVER):
        return False
    return address.is_global or rules.allow_private


class SystemResolver:
    """Asks the system, in threads of its own: name servers that never answer hold up webhooks and nothing else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="webhook-dns")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Name the addresses of a host."""
        look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def checked_addresses(endpoint: Endpoint, rules: WebhookSettings, resolver: Resolver) -> list[str]:
    """Look up a host once and name the addresses that a call may connect to.

    Raises:
        WebhookRefused: One of its addresses may not be called.
        WebhookUnresolved: It has none.
    """
    literal = _address(endpoint.host)
    try:
        async with asyncio.timeout(rules.timeout_s):
            named = [endpoint.host] if literal is not None else await resolver(endpoint.host, endpoint.port)
    except (OSError, UnicodeError) as exc:
        raise WebhookUnresolved("Webhook host blocked: its name cannot be looked up") from exc
    addresses = [_address(name) for name in named]
    if not addresses:
        raise WebhookUnresolved("Webhook host blocked: its name has no address")
    if any(address is None or not is_allowed(address, rules) for address in addresses):
        raise WebhookRefused("Webhook host blocked: it is not at a public address")
    return [str(address) for address in addresses]
