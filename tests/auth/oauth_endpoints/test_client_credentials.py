"""Service accounts: they authenticate, get what they may and no more, for one service."""

from __future__ import annotations

import base64

import pytest

from codelab.core.errors import Unauthenticated
from codelab.store.models import OAuthClientRow, RefreshTokenRow, TokenFamilyRow
from tests.support.identity import ISSUER, World, claims_of, header_of

Robot = tuple[str, str]


async def ask(world: World, auth: Robot | None, **form: str):
    return await world.token(auth=auth, grant_type="client_credentials", **form)


async def test_a_service_account_stands_for_itself(world: World, robot: Robot):  # attack 24
    response = await ask(world, robot, scope="threads:read")
    assert response.status_code == 200
    answer = response.json()
    assert answer.keys() == {"access_token", "token_type", "expires_in", "scope"}
    assert (answer["scope"], answer["expires_in"]) == ("threads:read", 600)
    claims = claims_of(answer["access_token"])
    assert header_of(answer["access_token"])["typ"] == "at+jwt"
    assert {claims["sub"], claims["client_id"]} == {"robot"}
    assert (claims["aud"], claims["tid"]) == (ISSUER, "default")
    assert claims.keys().isdisjoint({"fid", "sid", "amr", "auth_time"})
    assert await world.rows(TokenFamilyRow) == await world.rows(RefreshTokenRow) == []
    assert response.headers["cache-control"] == "no-store"  # attack 18


async def test_without_a_scope_it_gets_its_permissions(world: World, robot: Robot):
    assert (await ask(world, robot)).json()["scope"] == "threads:read runs:read"


@pytest.mark.parametrize("scope", ["threads:write", "threads:read nonsense", "openid", "threads:read openid", " "])
async def test_a_scope_beyond_its_own_is_refused(world: World, robot: Robot, scope: str):  # attack 11
    response = await ask(world, robot, scope=scope)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


async def test_who_may_do_nothing_gets_nothing(world: World, robot: Robot):
    await world.change(OAuthClientRow, "robot", scopes=["openid"])
    assert (await ask(world, robot)).json()["error"] == "invalid_scope"


async def test_a_token_for_one_service_is_refused_by_another(world: World, robot: Robot):  # attacks 24, 33
    response = await ask(world, robot, resource="https://a.example.org")
    token, verify = response.json()["access_token"], world.identity.verifier.verify
    assert (await verify(token, {"https://a.example.org"}))["sub"] == "robot"
    for audience in ("https://b.example.org", ISSUER):
        with pytest.raises(Unauthenticated):
            await verify(token, {audience})
    for elsewhere in ("https://b.example.org", "https://a.example.org/x", "a.example.org", f"{ISSUER}/other"):
        response = await ask(world, robot, resource=elsewhere)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_target")


async def test_our_mcp_endpoint_is_a_resource_of_its_own(world: World, robot: Robot):
    response = await ask(world, robot, resource=f"{ISSUER}/mcp")
    assert claims_of(response.json()["access_token"])["aud"] == f"{ISSUER}/mcp"


@pytest.mark.usefixtures("robot")
async def test_a_client_that_does_not_authenticate_is_refused(world: World):  # attack 17
    await world.client("other", secret="cl_cs_other", grant_types=["client_credentials"], auth_method="private_key_jwt")
    header = {"authorization": "Basic " + base64.b64encode(b"no colon").decode()}
    data = {"grant_type": "client_credentials"}
    attempts = {
        "wrong secret": await ask(world, ("robot", "cl_cs_wrong")),
        "empty secret": await ask(world, ("robot", "")),
        "no secret": await ask(world, None, client_id="robot"),
        "nobody": await ask(world, None),
        "unknown": await ask(world, ("nobody", "cl_cs_robot")),
        "other method": await ask(world, None, client_id="robot", client_secret="cl_cs_robot"),
        "another's": await ask(world, ("other", "cl_cs_other")),
        "broken": await world.http.post("/oauth/token", data=data, headers=header),
    }
    for name, response in attempts.items():
        assert (response.status_code, response.json()["error"]) == (401, "invalid_client"), name
        assert response.headers["www-authenticate"].startswith("Basic"), name
        assert response.headers["cache-control"] == "no-store", name
    assert len({a.json()["error_description"] for name, a in attempts.items() if name != "broken"}) == 1


async def test_two_ways_at_once_are_refused(world: World, robot: Robot):
    response = await ask(world, robot, client_secret="cl_cs_robot")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    response = await ask(world, robot, client_id="somebody-else")
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_a_public_client_gets_no_token_for_itself(world: World):  # attack 17
    await world.client("web", grant_types=["client_credentials"])  # as no service would register it
    response = await ask(world, None, client_id="web")
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


async def test_a_grant_that_is_not_the_clients_is_refused(world: World):  # attack 17
    await world.client("app", secret="cl_cs_app")
    response = await ask(world, ("app", "cl_cs_app"))
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")


async def test_credentials_in_the_address_are_refused(world: World, robot: Robot):  # attack 18
    form = {"grant_type": "client_credentials"}
    response = await world.http.post("/oauth/token?client_id=robot&client_secret=cl_cs_robot", data=form)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    for method in ("GET", "PUT"):
        response = await world.http.request(method, "/oauth/token", params=form, auth=robot)
        assert response.status_code == 405
        assert "access_token" not in response.text
    response = await world.http.post("/oauth/token", json=form, auth=robot)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_a_disabled_client_is_nobody(world: World, robot: Robot):
    await world.change(OAuthClientRow, "robot", disabled_at=world.time())
    assert (await ask(world, robot)).status_code == 401
