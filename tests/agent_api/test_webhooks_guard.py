"""Attacks on the server by the URL of a webhook."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.core.errors import InvalidInput
from codelab.core.settings import WebhookSettings
from codelab.runtime.webhooks.guard import (
    WebhookRefused,
    WebhookUnresolved,
    checked_addresses,
    is_allowed,
    read_endpoint,
)

STRICT = WebhookSettings(enabled=True)
OPEN = WebhookSettings(enabled=True, allow_private=True, allow_http=True, ports=[])


def resolving_to(*addresses: str):
    async def resolve(_host: str, _port: int) -> list[str]:
        return list(addresses)

    return resolve


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nope",
        "/relative",
        "//example.com/x",
        "https:example.com",
        "https:///x",
        "https://",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "gopher://example.com/",
        "http://example.com/",
        "https://user:pw@example.com/",
        "https://user@example.com/",
        "https://@example.com/",
        "https://example.com@127.0.0.1/",
        "https://127.0.0.1\\@example.com/",
        "https://example.com\\.evil/",
        "https://example.com/\r\nHost: x",
        "https://example.com/ x",
        "https://example.com/\x00",
        "https://ex%61mple.com/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:abc/",
        "https://１２７.０.０.１/",
        "https://example。com/",
        "https://-example.com/",
        "https://exa mple.com/",
        "https://example..com/",
        "https://example.com/" + "a" * 3000,
    ],
)
def test_forms_that_are_refused(url: str) -> None:
    with pytest.raises(WebhookRefused):
        read_endpoint(url, STRICT)


@pytest.mark.parametrize("port", [0, 99999])
def test_ports_that_are_none_even_where_all_are_allowed(port: int) -> None:
    with pytest.raises(WebhookRefused):
        read_endpoint(f"https://example.com:{port}/", OPEN)


@pytest.mark.parametrize(
    "host",
    [
        "2130706433",
        "017700000001",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "127.1",
        "127.0.1",
        "127.0.0.1.1",
        "127.0.0.01",
        "0x7f.1",
        "1.2.3.0x4",
        "127.0.0.1.",
        "256.1.1.1",
        "[::1",
        "[fe80::1%25eth0]",
        "[fe80::1%eth0]",
        "[127.0.0.1]",
        "[::ffff:7f00:1]extra",
        "[v1.fe80::a]",
    ],
)
def test_hosts_in_odd_forms(host: str) -> None:
    for rules in (STRICT, OPEN):
        with pytest.raises(WebhookRefused):
            read_endpoint(f"https://{host}/", rules)


INSIDE = ["127.0.0.1", "127.8.9.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd12::1", "fc00::1"]
NEVER = [
    *("0.0.0.0", "0.1.2.3", "169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"),
    *("224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:a9fe:a9fe", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::1"),
    *("2002:7f00:1::", "2001:0:1::1", "fe80::1", "fec0::1", "ff02::1", "ff0e::1", "fd00:ec2::254"),
]
PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111"]


@pytest.mark.parametrize("address", INSIDE)
def test_addresses_inside(address: str) -> None:
    assert not is_allowed(ip_address(address), STRICT)
    assert is_allowed(ip_address(address), OPEN)


@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_are_never_called(address: str) -> None:
    assert not is_allowed(ip_address(address), STRICT)
    assert not is_allowed(ip_address(address), OPEN)


@pytest.mark.parametrize("address", PUBLIC)
def test_addresses_outside(address: str) -> None:
    assert is_allowed(ip_address(address), STRICT)


@given(st.ip_addresses())
def test_what_may_be_called_is_global_and_one_host(address) -> None:
    if is_allowed(address, STRICT):
        assert address.is_global
        assert not any((address.is_private, address.is_loopback, address.is_link_local, address.is_multicast))
        assert getattr(address, "ipv4_mapped", None) is None


@pytest.mark.parametrize("address", [*INSIDE, *NEVER])
async def test_a_url_that_names_an_address(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(WebhookRefused):
        await checked_addresses(read_endpoint(f"https://{host}/", STRICT), STRICT, resolving_to("8.8.8.8"))


@pytest.mark.parametrize("address", [*INSIDE, *NEVER, "nonsense", "fe80::1%eth0"])
async def test_a_name_that_leads_inside(address: str) -> None:
    endpoint = read_endpoint("https://metadata.google.internal/", STRICT)
    for answer in ((address,), ("8.8.8.8", address)):
        with pytest.raises(WebhookRefused):
            await checked_addresses(endpoint, STRICT, resolving_to(*answer))


async def test_a_name_that_leads_outside() -> None:
    endpoint = read_endpoint("https://Example.com:8443/a%2e/b?c=d#e", STRICT)
    assert await checked_addresses(endpoint, STRICT, resolving_to(*PUBLIC)) == PUBLIC
    assert (endpoint.host, endpoint.port, endpoint.path) == ("example.com", 8443, b"/a%2e/b?c=d")
    assert str(endpoint.url_at("2606:4700::1")) == "https://[2606:4700::1]:8443/a%2e/b?c=d"


async def test_a_name_without_an_address() -> None:
    async def fails(_host: str, _port: int) -> list[str]:
        raise OSError("no such host")

    endpoint = read_endpoint("https://example.com/", STRICT)
    for resolver in (fails, resolving_to()):
        with pytest.raises(WebhookUnresolved):
            await checked_addresses(endpoint, STRICT, resolver)


@given(st.text(max_size=60))
def test_any_text_is_taken_apart_or_refused(text: str) -> None:
    for url in (text, f"https://{text}", f"https://example.com{text}"):
        try:
            endpoint = read_endpoint(url, OPEN)
        except InvalidInput:
            continue
        assert "@" not in endpoint.authority
        assert endpoint.scheme in {"http", "https"}
