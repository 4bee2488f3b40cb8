"""Dynamic registration: closed, or for who holds the initial token; third parties with good addresses, and so many."""

from __future__ import annotations

import json

import pytest

from codelab.auth.oauth import registration
from codelab.auth.oauth.registration import SCOPES
from codelab.core.permissions import ADMIN
from codelab.core.settings_auth import AuthSettings
from codelab.server.oauth import register as routes
from codelab.store.engine import Database
from codelab.store.models import AuditRow, OAuthClientRow
from tests.support.identity import World, open_world

TOKEN = "let me in"
CALLBACK = "https://app.example.org/callback"


async def register(world: World, token: str | None = TOKEN, **metadata):
    headers = {} if token is None else {"authorization": f"Bearer {token}".encode("latin-1")}
    said = {"client_name": "App", "redirect_uris": [CALLBACK], **metadata}
    body = json.dumps({name: value for name, value in said.items() if value is not None})
    return await world.http.post("/oauth/register", content=body, headers=headers)


async def test_who_holds_the_token_registers_a_third_party(both: World):
    response = await register(both, grant_types=["authorization_code", "refresh_token"], scope="threads:read openid")
    assert response.status_code == 201, response.text
    told = response.json()
    assert told["client_secret"].startswith("cl_cs_")
    assert told["client_secret_expires_at"] == 0
    assert told["client_id_issued_at"] == int(both.time.seconds())
    assert told["token_endpoint_auth_method"] == "client_secret_basic"
    assert told["scope"] == "threads:read openid"
    assert response.headers["cache-control"] == "no-store"
    (row,) = await both.rows(OAuthClientRow)
    assert (row.id, row.dynamic, row.first_party, row.audiences) == (told["client_id"], True, False, [])
    assert told["client_secret"] not in str(vars(row))
    (fact,) = await both.rows(AuditRow)
    assert (fact.type, fact.subject, fact.details["action"]) == (
        "auth.client_changed", f"client:{row.id}", "register",
    )  # fmt: skip
    assert told["client_secret"] not in str(vars(fact))
    refused = await both.token(auth=(row.id, told["client_secret"]), grant_type="client_credentials")
    assert refused.json()["error"] == "unauthorized_client", "it authenticates, and acts for people alone"


async def test_a_public_client_has_no_secret(world: World):
    told = (await register(world, token_endpoint_auth_method="none")).json()
    assert told.keys().isdisjoint({"client_secret", "client_secret_expires_at"})
    assert (told["grant_types"], told["response_types"]) == (["authorization_code"], ["code"])
    assert set(told["scope"].split()) == SCOPES
    assert SCOPES.isdisjoint(ADMIN)


async def test_what_we_do_not_know_is_left_out(world: World):
    told = (await register(world, logo_uri="https://evil.example/x.svg", first_party=True, dynamic=False)).json()
    assert "logo_uri" not in told
    (row,) = await world.rows(OAuthClientRow)
    assert (row.first_party, row.dynamic) == (False, True)


@pytest.mark.parametrize("token", [None, "", "let me", "let me in!", "LET ME IN", "\xe9"])
async def test_without_the_token_nobody_registers(world: World, token: str | None):
    response = await register(world, token)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
    assert response.headers["www-authenticate"].startswith("Bearer ")
    assert await world.rows(OAuthClientRow) == []


@pytest.mark.parametrize("settings", [{}, {"registration_token": ""}], ids=["unset", "empty"])
async def test_registration_is_closed_until_a_token_is_set(sqlite_url: str, settings: dict):
    database = Database(sqlite_url)
    async with open_world(database, routes.router, settings=AuthSettings(mode="oauth", **settings)) as world:
        for token in (None, "", TOKEN):
            response = await register(world, token)
            assert (response.status_code, response.json()["error"]) == (403, "access_denied")
    await database.close()


ADDRESSES = (
    "http://evil/cb",
    "javascript:alert(1)",
    "data:text/html,hello",
    "http://localhost.evil.example/callback",
    "https://app.example.org/callback#fragment",
    "https://user@app.example.org/callback",
    "https://*.example.org/callback",
    "/cb",
    "com.example.app:/callback\n",
)


@pytest.mark.parametrize("uri", ADDRESSES)
async def test_a_bad_address_is_refused(world: World, uri: str):
    response = await register(world, redirect_uris=[CALLBACK, uri], token_endpoint_auth_method="none")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_redirect_uri")
    assert uri not in response.json()["error_description"], "what was sent is not repeated"
    assert await world.rows(OAuthClientRow) == []


@pytest.mark.parametrize("uris", [[], None, CALLBACK, [CALLBACK] * 21, [5]], ids=range(5))
async def test_addresses_are_a_short_list(world: World, uris):
    response = await register(world, redirect_uris=uris)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_redirect_uri")


@pytest.mark.parametrize(
    "wrong",
    [
        {"grant_types": ["client_credentials"]},
        {"grant_types": ["password"]},
        {"grant_types": ["implicit"]},
        {"grant_types": ["refresh_token"]},
        {"response_types": ["token"]},
        {"response_types": ["code", "id_token"]},
        {"token_endpoint_auth_method": "private_key_jwt"},
        {"token_endpoint_auth_method": "client_secret_basic", "redirect_uris": ["com.example.app:/callback"]},
        {"scope": "threads:read users:admin"},
        {"scope": "clients:admin"},
        {"scope": "threads:destroy"},
        {"scope": "account:read"},
        {"client_name": "a\u202eb"},
        {"client_name": "x" * 101},
        {"client_name": 5},
        {"client_name": "\ud800"},
    ],
    ids=range(16),
)
async def test_what_a_third_party_may_not_be_is_refused(world: World, wrong: dict):
    response = await register(world, **wrong)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_client_metadata")
    assert await world.rows(OAuthClientRow) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b"[" * 10_000, b"\xff", b'{"x":"' + b"y" * 70_000 + b'"}'])
async def test_a_body_that_is_no_metadata_is_refused(world: World, body: bytes):
    headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    response = await world.http.post("/oauth/register", content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["error"] in {"invalid_request", "invalid_client_metadata"}


async def test_only_so_many_register_themselves(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(registration, "MOST_DYNAMIC", 2)
    await world.client("web")  # an administrator's does not count
    assert [(await register(world)).status_code for _ in range(3)] == [201, 201, 503]


async def test_the_whole_way(world: World):
    """A client registers, begins the device flow, and authenticates with its secret."""
    grants = ["urn:ietf:params:oauth:grant-type:device_code"]
    told = (await register(world, redirect_uris=None, grant_types=grants, response_types=[], scope="openid")).json()
    auth = (told["client_id"], told["client_secret"])
    response = await world.http.post("/oauth/device_authorization", data={"scope": "openid"}, auth=auth)
    assert response.status_code == 200, response.text
