"""Logins at servers: kept to oneself, renewed by themselves, forgotten when they are over."""

from __future__ import annotations

import asyncio
import json
import stat
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest

from codelab.cli.bearing import SignedIn
from codelab.cli.credentials import Credentials, Login
from codelab.cli.device_flow import obtain
from codelab.core.errors import InvalidInput, Unauthenticated, Unavailable

SERVER = "http://127.0.0.1:8000"


def login(**changes: Any) -> Login:
    values = {
        "client_id": "codelab-cli",
        "token_endpoint": f"{SERVER}/oauth/token",
        "revocation_endpoint": f"{SERVER}/oauth/revoke",
        "access_token": "first",
        "expires_at": time.time() + 600,
        "refresh_token": "r1",
    }
    return Login(**{**values, **changes})


class Issuer:
    """A server with a token endpoint that rotates, and an API that knows the newest token only."""

    def __init__(self) -> None:
        self.refreshes: list[str] = []
        self.good = "first"
        self.error: str | None = None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/oauth/token":
            form = parse_qs(request.content.decode())
            self.refreshes += form["refresh_token"]
            if self.error is not None:
                return httpx.Response(400, json={"error": self.error})
            self.good = f"token-{len(self.refreshes)}"
            number = len(self.refreshes) + 1
            return httpx.Response(
                200, json={"access_token": self.good, "expires_in": 600, "refresh_token": f"r{number}"}
            )
        shown = request.headers["authorization"]
        return httpx.Response(200 if shown == f"Bearer {self.good}" else 401, json={"shown": shown})


@pytest.fixture
def kept(tmp_path: Path) -> Credentials:
    return Credentials(tmp_path / "data")


def save(kept: Credentials, one: Login | None, server: str = SERVER) -> None:
    with kept.lock():
        kept.put(server, one)


def client_of(kept: Credentials, issuer: Issuer) -> httpx.AsyncClient:
    transport = httpx.MockTransport(issuer)
    return httpx.AsyncClient(base_url=SERVER, auth=SignedIn(SERVER, kept, transport=transport), transport=transport)


def test_a_login_is_readable_by_its_person_alone(kept: Credentials, tmp_path: Path) -> None:
    save(kept, login())
    assert stat.S_IMODE((tmp_path / "data" / "credentials.json").stat().st_mode) == 0o600
    assert kept.get(f"{SERVER}/") == kept.get(SERVER) == login(expires_at=kept.get(SERVER).expires_at)
    save(kept, None)
    assert kept.get(SERVER) is None


def test_each_server_has_its_own(kept: Credentials) -> None:
    save(kept, login())
    save(kept, login(access_token="other"), "https://other.example")
    save(kept, None)
    assert kept.get("https://other.example").access_token == "other"


def test_a_broken_file_is_no_login(kept: Credentials, tmp_path: Path) -> None:
    save(kept, login())
    (tmp_path / "data" / "credentials.json").write_text("{")
    assert kept.get(SERVER) is None


async def test_a_fresh_token_is_shown_as_it_is(kept: Credentials) -> None:
    save(kept, login())
    issuer = Issuer()
    async with client_of(kept, issuer) as http:
        assert (await http.get("/api/v1/threads")).status_code == 200
    assert issuer.refreshes == []


async def test_an_old_token_is_renewed_once_for_all_who_wait(kept: Credentials) -> None:
    save(kept, login(expires_at=time.time() + 5))
    issuer = Issuer()
    async with client_of(kept, issuer) as one, client_of(kept, issuer) as two:
        answers = await asyncio.gather(*(http.get("/api/v1/threads") for http in (one, two) for _ in range(5)))
    assert {answer.status_code for answer in answers} == {200}
    assert issuer.refreshes == ["r1"]
    assert kept.get(SERVER).refresh_token == "r2"


async def test_a_refused_token_is_renewed_and_the_request_made_again(kept: Credentials) -> None:
    save(kept, login(access_token="revoked"))
    issuer = Issuer()
    async with client_of(kept, issuer) as http:
        assert (await http.get("/api/v1/threads")).status_code == 200
    assert issuer.refreshes == ["r1"]


async def test_a_login_that_is_over_is_forgotten_and_says_what_to_do(kept: Credentials) -> None:
    save(kept, login(expires_at=0))
    issuer = Issuer()
    issuer.error = "invalid_grant"
    async with client_of(kept, issuer) as http:
        for _ in range(2):
            with pytest.raises(Unauthenticated, match="codelab login"):
                await http.get("/api/v1/threads")
    assert issuer.refreshes == ["r1"]
    assert kept.get(SERVER) is None


async def test_a_server_in_trouble_costs_no_login(kept: Credentials) -> None:
    save(kept, login(expires_at=0))
    issuer = Issuer()
    issuer.error = "temporarily_unavailable"
    async with client_of(kept, issuer) as http:
        with pytest.raises(Unavailable):
            await http.get("/api/v1/threads")
    assert kept.get(SERVER) is not None


async def test_a_server_that_is_down_costs_no_login(kept: Credentials) -> None:
    save(kept, login(expires_at=0))

    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("down", request=request)

    transport = httpx.MockTransport(down)
    async with httpx.AsyncClient(auth=SignedIn(SERVER, kept, transport=transport), transport=transport) as http:
        with pytest.raises(Unavailable):
            await http.get(f"{SERVER}/api/v1/threads")
    assert kept.get(SERVER) is not None


def described(**changes: Any) -> dict[str, Any]:
    return {
        "issuer": SERVER,
        "token_endpoint": f"{SERVER}/oauth/token",
        "device_authorization_endpoint": f"{SERVER}/oauth/device_authorization",
        "scopes_supported": ["threads:read", "users:admin", "audit:read", "openid"],
        **changes,
    }


def device_server(found: dict[str, Any], answers: list[dict[str, Any]], seen: list[Any]) -> httpx.MockTransport:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/.well-known/"):
            return httpx.Response(200, json=found)
        form = parse_qs(request.content.decode())
        seen.append(form)
        if request.url.path == "/oauth/device_authorization":
            codes = {"device_code": "d", "user_code": "BCDF-GHJK", "verification_uri": f"{SERVER}/device"}
            return httpx.Response(200, json={**codes, "interval": 0, "expires_in": 60})
        answer = answers.pop(0)
        return httpx.Response(200 if "access_token" in answer else 400, content=json.dumps(answer))

    return httpx.MockTransport(serve)


async def test_the_device_flow_waits_for_the_person(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    granted = {"access_token": "a", "expires_in": 600, "refresh_token": "r"}
    transport = device_server(described(), [{"error": "authorization_pending"}, granted], seen)
    async with httpx.AsyncClient(transport=transport) as http:
        found = await obtain(http, SERVER)
    assert (found.access_token, found.refresh_token) == ("a", "r")
    assert seen[0]["scope"] == ["threads:read openid"]  # nothing of an administrator's unless somebody asks
    assert "BCDF-GHJK" in capsys.readouterr().err


async def test_a_person_who_says_no_ends_it() -> None:
    transport = device_server(described(), [{"error": "access_denied"}], [])
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(Unauthenticated, match="access_denied"):
            await obtain(http, SERVER)


@pytest.mark.parametrize(
    ("server", "found"),
    [
        ("http://codelab.example", described()),
        (SERVER, described(issuer="http://127.0.0.1:9")),
        (SERVER, {}),
    ],
    ids=["without-tls", "another-issuer", "local-mode"],
)
async def test_where_nobody_should_sign_in(server: str, found: dict[str, Any]) -> None:
    seen: list[Any] = []
    async with httpx.AsyncClient(transport=device_server(found, [], seen)) as http:
        with pytest.raises(InvalidInput):
            await obtain(http, server)
    assert seen == []
