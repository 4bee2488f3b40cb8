"""Who we are, by the settings: an address that others can reach, and nobody can listen in on."""

from __future__ import annotations

import pytest

from codelab.auth.issuer import audiences_at, issuer_of, session_cookie
from codelab.core.errors import ConfigError
from codelab.core.settings import ServerSettings, Settings


def named(**server: object) -> str:
    return issuer_of(Settings(server=ServerSettings(**server), _env_file=None))


@pytest.mark.parametrize(
    ("server", "issuer"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "::1", "port": 9}, "http://[::1]:9"),
        ({"host": "localhost"}, "http://localhost:8000"),
        ({"public_url": "https://codelab.example.org"}, "https://codelab.example.org"),
        ({"public_url": "https://CodeLab.example.org/"}, "https://codelab.example.org"),
        ({"public_url": "http://127.0.0.1:8080", "host": "0.0.0.0"}, "http://127.0.0.1:8080"),
    ],
)
def test_the_issuer_is_the_address_that_people_use(server: dict[str, object], issuer: str) -> None:
    assert named(**server) == issuer


@pytest.mark.parametrize(
    "server",
    [
        {"host": "0.0.0.0"},
        {"port": 0},
        {"public_url": "http://codelab.example.org"},
        {"public_url": "https://codelab.example.org/path"},
        {"public_url": "https://codelab.example.org?x=1"},
        {"public_url": "https://user@codelab.example.org"},
        {"public_url": "codelab.example.org"},
        {"public_url": "ftp://codelab.example.org"},
    ],
)
def test_what_is_no_issuer_ends_the_start(server: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="PUBLIC_URL"):
        named(**server)


def test_the_cookie_is_bound_to_encrypted_connections_where_there_are_any() -> None:
    assert session_cookie("https://codelab.example.org") == "__Host-sid"
    assert session_cookie("http://127.0.0.1:8000") == "sid"


@pytest.mark.parametrize("path", ["/mcp", "/mcp/", "/mcp/x"])
def test_a_token_for_the_mcp_endpoint_is_good_there(path: str) -> None:
    assert audiences_at("http://h", path) == {"http://h", "http://h/mcp"}


@pytest.mark.parametrize("path", ["/", "/mcpx", "/api/v1/threads", "/threads/mcp"])
def test_and_nowhere_else(path: str) -> None:
    assert audiences_at("http://h", path) == {"http://h"}
