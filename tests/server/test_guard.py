"""Who gets in: credentials, hosts, origins, sizes, and what nobody gets without one."""

from __future__ import annotations

import httpx
import pytest

from codelab.auth.local import COOKIE, LocalAuth
from codelab.core.errors import ConfigError
from codelab.core.settings import AuthSettings, ServerSettings, Settings
from codelab.server.credential import PUBLIC
from codelab.server.layers import local_auth as make_local_auth
from codelab.server.middleware import MAX_BODY

OPEN = sorted(PUBLIC - {"/login"})
CLOSED = ["/api/v1/threads", "/api/v1/agents", "/openapi.json", "/docs", "/nothing", "/api", "/static", "//", "/ok/"]


@pytest.mark.parametrize("path", OPEN)
async def test_public_paths_answer(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"authorization": ""})
    assert answer.status_code == 200


@pytest.mark.parametrize("path", CLOSED)
@pytest.mark.parametrize("credential", ["", "Bearer wrong", "Bearer", "Basic dXNlcjpwYXNz", "bearer  x"])
async def test_everything_else_needs_the_token(client: httpx.AsyncClient, path: str, credential: str) -> None:
    answer = await client.get(path, headers={"authorization": credential})
    assert answer.status_code == 401
    assert isinstance(answer.json()["detail"], str)
    if path.startswith("/api/"):
        assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["content-type"] == "application/problem+json"
    assert "Bearer" in answer.headers["www-authenticate"]


async def test_no_route_is_forgotten(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/openapi.json")).json()
    for path, methods in schema["paths"].items():
        for method in methods:
            if path in PUBLIC:
                continue
            answer = await client.request(method, path.replace("{", "").replace("}", ""), headers={"authorization": ""})
            assert answer.status_code == 401, (method, path)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "localhost@evil.example"])
async def test_a_foreign_host_is_refused(client: httpx.AsyncClient, host: str) -> None:
    answer = await client.get("/ok", headers={"host": host})
    assert (answer.status_code, "host" in answer.json()["detail"]) == (422, True)


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "[::1]:8000", "LOCALHOST:1"])
async def test_our_own_names_are_served(client: httpx.AsyncClient, host: str) -> None:
    assert (await client.get("/ok", headers={"host": host})).status_code == 200


async def test_a_link_signs_a_browser_in_once(client: httpx.AsyncClient, local_auth: LocalAuth) -> None:
    code = local_auth.make_link_code()
    first = await client.get("/login", params={"code": code}, headers={"authorization": ""})
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert COOKIE in cookie
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    again = await client.get("/login", params={"code": code}, headers={"authorization": ""})
    assert again.status_code == 401
    assert "set-cookie" not in again.headers


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://127.0.0.1"}, 422),
        ({"sec-fetch-site": "same-origin"}, 422),
    ],
)
async def test_a_cookie_changes_things_from_our_own_pages_only(
    client: httpx.AsyncClient, local_auth: LocalAuth, headers: dict[str, str], status: int
) -> None:
    cookie = {"cookie": f"{COOKIE}={local_auth.session}", "authorization": ""}
    answer = await client.post("/api/v1/threads", json={}, headers={**cookie, **headers})
    assert answer.status_code == status
    assert (await client.get("/api/v1/threads", headers=cookie)).status_code == 200


async def test_a_browser_without_a_cookie_sees_the_sign_in_page(client: httpx.AsyncClient) -> None:
    answer = await client.get("/", headers={"authorization": "", "accept": "text/html"})
    assert answer.status_code == 401
    assert "one-time link" in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_bodies_are_bounded(client: httpx.AsyncClient) -> None:
    told = await client.post("/api/v1/threads", content=b"x", headers={"content-length": str(MAX_BODY + 1)})
    assert (told.status_code, told.json()["code"]) == (413, "too_large")

    async def flood():
        for _ in range(MAX_BODY // 65_536 + 2):
            yield b"x" * 65_536

    streamed = await client.post("/api/v1/threads", content=flood())
    assert streamed.status_code >= 400


@pytest.mark.parametrize("path", ["/static/../pyproject.toml", "/static/%2e%2e/pyproject.toml", "/static/..%2fapp.css"])
async def test_static_stays_in_its_folder(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code in {401, 404}


async def test_every_answer_carries_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/ok", "/", "/nothing", "/static/app.css"):
        headers = (await client.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-correlation-id"]


@pytest.mark.parametrize(("sent", "kept"), [("abc-123", True), ("x" * 200, False), ("a b", False), ('"><s', False)])
async def test_a_well_formed_correlation_id_is_kept(client: httpx.AsyncClient, sent: str, kept: bool) -> None:
    answer = await client.get("/ok", headers={"x-correlation-id": sent})
    assert (answer.headers["x-correlation-id"] == sent) is kept


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "codelab.example"])
def test_local_mode_serves_this_machine_only(host: str) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1"):
        make_local_auth(Settings(server=ServerSettings(host=host), _env_file=None))


@pytest.mark.parametrize("mode", ["oauth", "anonymous"])
def test_modes_that_are_not_built_are_refused(mode) -> None:
    with pytest.raises(ConfigError, match=mode):
        make_local_auth(Settings(auth=AuthSettings(mode=mode), _env_file=None))


async def test_a_browser_that_is_lost_gets_a_page_and_a_program_gets_json(client: httpx.AsyncClient) -> None:
    page = await client.get("/nothing", headers={"accept": "text/html"})
    assert (page.status_code, page.headers["content-type"].partition(";")[0]) == (404, "text/html")
    program = await client.get("/nothing")
    assert (program.status_code, set(program.json())) == (404, {"detail"})
