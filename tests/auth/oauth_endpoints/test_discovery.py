"""The well-known documents: valid by Authlib's own rules, and nothing in them that is not served."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata, get_well_known_url
from authlib.oidc.discovery import OpenIDProviderMetadata
from joserfc.jwk import KeySet

from codelab.auth.oauth import registration
from codelab.auth.oauth.metadata import resource_metadata, server_metadata
from codelab.auth.oauth.registry import GRANTS
from codelab.core.permissions import ADMIN, GRANTABLE, OPENID
from codelab.core.settings_auth import AuthSettings
from codelab.server.oauth import authorize, endpoints, register, token
from tests.support.identity import ISSUER, World

PUBLIC = "https://codelab.example.org"
OPEN = AuthSettings(mode="oauth", registration_token="let me in", password_grant=True)
CLOSED = AuthSettings(mode="oauth")


@pytest.mark.parametrize("settings", [OPEN, CLOSED], ids=["open", "closed"])
@pytest.mark.parametrize("kind", [AuthorizationServerMetadata, OpenIDProviderMetadata])
def test_it_is_valid(settings: AuthSettings, kind):
    kind(server_metadata(PUBLIC, settings)).validate()


def test_only_what_is_switched_on_is_told():
    opened, closed = server_metadata(PUBLIC, OPEN), server_metadata(PUBLIC, CLOSED)
    assert opened["registration_endpoint"] == f"{PUBLIC}/oauth/register"
    assert "registration_endpoint" not in closed
    assert set(opened["grant_types_supported"]) - set(closed["grant_types_supported"]) == {"password"}
    empty = AuthSettings(mode="oauth", registration_token="")
    assert "registration_endpoint" not in server_metadata(PUBLIC, empty)


def test_every_grant_that_is_told_is_served_and_no_other():
    assert set(server_metadata(PUBLIC, OPEN)["grant_types_supported"]) == {grant.GRANT_TYPE for grant in GRANTS}


def test_every_endpoint_that_is_told_is_served():
    served = {
        (f"{PUBLIC}{route.path}", method)
        for part in (authorize, token, endpoints, register)
        for route in part.router.routes
        for method in route.methods
    }
    told = {name: url for name, url in server_metadata(PUBLIC, OPEN).items() if name.endswith("_endpoint")}
    assert len(told) == 7
    for name, url in told.items():
        assert (url, "GET" if name in {"authorization_endpoint", "userinfo_endpoint"} else "POST") in served, name


def test_only_s256_and_codes_are_told():
    told = server_metadata(PUBLIC, OPEN)
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["response_types_supported"] == ["code"]
    assert told["authorization_response_iss_parameter_supported"] is True
    assert "none" not in told["introspection_endpoint_auth_methods_supported"]
    assert set(told["scopes_supported"]) == GRANTABLE | OPENID


async def test_the_documents_are_where_clients_look(world: World):
    expected = server_metadata(ISSUER, world.identity.settings)
    at = urlsplit(get_well_known_url(ISSUER)).path
    for path in (at, "/.well-known/openid-configuration"):
        response = await world.http.get(path)
        assert (response.status_code, response.json()) == (200, expected)
        assert response.headers["cache-control"] == "public, max-age=300"
    assert urlsplit(expected["jwks_uri"]).path == "/.well-known/jwks.json"


async def test_keys_are_told_without_their_private_half(world: World):  # attack 32
    response = await world.http.get("/.well-known/jwks.json")
    assert response.headers["cache-control"] == "public, max-age=300"
    (key,) = response.json()["keys"]
    assert key["kid"] == "test"
    assert key.keys().isdisjoint({"d", "p", "q", "dp", "dq", "qi"})
    assert KeySet.import_key_set(response.json()).keys[0].is_private is False


@pytest.mark.parametrize("path", ["", "/mcp"])
async def test_a_resource_tells_who_gives_tokens_for_it(world: World, path: str):
    response = await world.http.get(f"/.well-known/oauth-protected-resource{path}")
    told = response.json()
    assert told == resource_metadata(ISSUER, path)
    assert (told["resource"], told["authorization_servers"]) == (f"{ISSUER}{path}", [ISSUER])
    assert told["bearer_methods_supported"] == ["header"]
    assert set(told["scopes_supported"]) == GRANTABLE - ADMIN
    assert set(told["scopes_supported"]) <= registration.SCOPES, "who registers for all of them is not refused"
