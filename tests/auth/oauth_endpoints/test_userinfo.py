"""Userinfo: who signed in, as far as the scopes go, for a token in the header."""

from __future__ import annotations

import pytest

from codelab.store.models import OAuthClientRow, UserRow
from tests.auth.oauth_endpoints.flows import person_tokens
from tests.support.identity import ISSUER, World


@pytest.fixture
async def ann(world: World) -> UserRow:
    await world.client("web")
    return await world.user("ann@example.org", name="Ann")


async def ask(world: World, token: str, method: str = "GET", **more):
    return await world.http.request(method, "/oauth/userinfo", headers={"authorization": f"Bearer {token}"}, **more)


EMAIL = {"email": "ann@example.org", "email_verified": True}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("scope", "more"),
    [
        ("openid", {}),
        ("openid profile", {"name": "Ann"}),
        ("openid email", EMAIL),
        ("openid profile email threads:read", {"name": "Ann", **EMAIL}),
    ],
    ids=["openid", "profile", "email", "all"],
)
async def test_a_person_is_told_as_far_as_the_scopes_go(world: World, ann: UserRow, method: str, scope: str, more):
    token = (await person_tokens(world, ann, scope=scope))["access_token"]
    response = await ask(world, token, method)
    assert (response.status_code, response.json()) == (200, {"sub": ann.id, **more})
    assert response.headers["cache-control"] == "no-store"


async def test_without_openid_nobody_is_told(world: World, ann: UserRow):  # attack 31
    response = await ask(world, (await person_tokens(world, ann, scope="threads:read profile"))["access_token"])
    assert (response.status_code, response.json()["error"]) == (403, "insufficient_scope")
    assert 'scope="openid"' in response.headers["www-authenticate"]


async def test_a_service_account_is_no_person(world: World, robot: tuple[str, str]):
    token = (await world.token(auth=robot, grant_type="client_credentials")).json()["access_token"]
    assert (await ask(world, token)).status_code == 403


async def test_what_opens_nothing_opens_nothing_here(world: World, ann: UserRow):  # attacks 28, 29
    tokens = await person_tokens(world, ann)
    elsewhere = await person_tokens(world, ann, target="https://a.example.org")
    wrong = ("garbage", tokens["id_token"], tokens["refresh_token"], elsewhere["access_token"])
    for token in (*wrong, tokens["access_token"][:-3] + "AAA"):
        response = await ask(world, token)
        assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
        assert response.headers["www-authenticate"].startswith('Bearer realm="codelab", error="invalid_token"')


async def test_a_token_belongs_in_the_header(world: World, ann: UserRow):  # attack 30
    token = (await person_tokens(world, ann))["access_token"]
    missing = await world.http.get("/oauth/userinfo")
    assert (missing.status_code, missing.headers["www-authenticate"]) == (401, 'Bearer realm="codelab"')
    assert (await world.http.get("/oauth/userinfo", params={"access_token": token})).status_code == 400
    assert (await world.http.post("/oauth/userinfo", data={"access_token": token})).status_code == 401
    assert (await world.http.get("/oauth/userinfo", auth=("web", token))).status_code == 401


@pytest.mark.parametrize("who", ["person", "client", "age"])
async def test_who_is_gone_is_not_told_of(world: World, ann: UserRow, who: str):
    token = (await person_tokens(world, ann))["access_token"]
    assert (await ask(world, token)).json()["sub"] == ann.id
    if who == "person":
        await world.change(UserRow, ann.id, is_active=False)
    elif who == "client":
        await world.change(OAuthClientRow, "web", disabled_at=world.time())
    else:
        world.time.tick(631)
    assert (await ask(world, token)).json()["error"] == "invalid_token"


async def test_our_mcp_endpoints_tokens_are_for_it_alone(world: World, ann: UserRow):
    token = (await person_tokens(world, ann, target=f"{ISSUER}/mcp"))["access_token"]
    assert (await ask(world, token)).status_code == 401
