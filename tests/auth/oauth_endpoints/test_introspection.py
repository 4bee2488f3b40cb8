"""Introspection: whom a token concerns learns what it is worth now; to all others it is dead."""

from __future__ import annotations

import pytest
from joserfc import jwt

from codelab.core.permissions import GRANTABLE
from codelab.store.models import OAuthClientRow, TokenFamilyRow, UserRow
from tests.auth.oauth_endpoints.flows import introspect, is_active, person_tokens, revoke
from tests.support.identity import ISSUER, World, claims_of, signing_key

SERVICE_A, SERVICE_B = "https://a.example.org", "https://b.example.org"
A, B, APP = ("a", "cl_cs_a"), ("b", "cl_cs_b"), ("app", "cl_cs_app")


@pytest.fixture
async def ann(world: World) -> UserRow:
    """A person, services A and B, an application that gets tokens for both, and a public client."""
    for (client_id, secret), audience in ((A, SERVICE_A), (B, SERVICE_B)):
        await world.client(client_id, secret=secret, grant_types=["client_credentials"], audiences=[audience])
    await world.client("app", secret="cl_cs_app", audiences=[SERVICE_A, SERVICE_B])
    await world.client("web")
    return await world.user()


async def tokens_for_a(world: World, user: UserRow, **more) -> dict:
    return await person_tokens(world, user, client="app", target=SERVICE_A, **more)


async def test_the_service_it_is_for_learns_all_it_needs(world: World, ann: UserRow):
    token = (await tokens_for_a(world, ann))["access_token"]
    response = await introspect(world, token, auth=A)
    claims = claims_of(token)
    assert response.json() == {
        "active": True,
        "token_type": "Bearer",
        "scope": "threads:read openid",
        **{name: claims[name] for name in ("iss", "aud", "sub", "client_id", "iat", "exp", "jti", "tid")},
        **{name: claims[name] for name in ("amr", "acr", "auth_time")},
    }
    assert response.headers["cache-control"] == "no-store"


async def test_for_another_service_it_is_dead(world: World, ann: UserRow):  # attacks 25, 33
    await world.client("c", secret="cl_cs_c", grant_types=["client_credentials"])
    token = (await tokens_for_a(world, ann))["access_token"]
    assert await is_active(world, token, A)
    assert not await is_active(world, token, B)
    assert not await is_active(world, token, ("c", "cl_cs_c"))


async def test_a_service_may_be_named_by_its_id(world: World, ann: UserRow):
    token = (await person_tokens(world, ann, client="app", target="a"))["access_token"]
    assert await is_active(world, token, A)
    assert not await is_active(world, token, B)


async def test_whom_it_was_issued_to_may_ask(world: World, ann: UserRow):
    tokens = await tokens_for_a(world, ann)
    assert await is_active(world, tokens["access_token"], APP)
    robot = await world.token(auth=A, grant_type="client_credentials")
    assert await is_active(world, robot.json()["access_token"], A)
    assert not await is_active(world, robot.json()["access_token"], APP)


async def test_a_refresh_token_concerns_its_client_alone(world: World, ann: UserRow):
    token = (await tokens_for_a(world, ann))["refresh_token"]
    told = (await introspect(world, token, auth=APP)).json()
    assert (told["active"], told["sub"], told["client_id"]) == (True, ann.id, "app")
    assert told["exp"] > world.time.seconds() + 86_400
    assert not await is_active(world, token, A)
    await world.refresh(token, client_id=None, auth=APP)
    assert not await is_active(world, token, APP), "it is used up"


@pytest.mark.usefixtures("ann")
@pytest.mark.parametrize(
    "token", ["garbage", "a.b.c", "e30.e30.AAAA", "cl_rt_unknown", "é", "x" * 10_000, "\U0001f600"]
)
async def test_garbage_is_dead(world: World, token: str):  # attack 25
    response = await introspect(world, token, auth=A)
    assert (response.status_code, response.json()) == (200, {"active": False})


async def test_an_id_token_is_no_access_token(world: World, ann: UserRow):  # attack 29
    tokens = await tokens_for_a(world, ann)
    assert not await is_active(world, tokens["id_token"], APP)


async def test_a_forged_token_is_dead(world: World, ann: UserRow):  # attack 28
    claims = claims_of((await tokens_for_a(world, ann))["access_token"])
    forged = jwt.encode({"alg": "RS256", "kid": "test", "typ": "JWT"}, claims, signing_key())
    assert not await is_active(world, forged, A)
    foreign = jwt.encode(
        {"alg": "RS256", "kid": "test", "typ": "at+jwt"}, {**claims, "iss": "https://evil.example"}, signing_key()
    )
    assert not await is_active(world, foreign, A)


ENDS = {
    "age": lambda world, _ann: world.time.tick(631),
    "person": lambda world, ann: world.change(UserRow, ann.id, is_active=False),
    "password": lambda world, ann: world.change(UserRow, ann.id, password_changed_at=world.time.at),
    "client": lambda world, _ann: world.change(OAuthClientRow, "app", disabled_at=world.time.at),
    "deleted": lambda world, _ann: drop(world, OAuthClientRow, "app"),
    "family": lambda world, _ann: end_families(world),
}


async def drop(world: World, kind, key: str) -> None:
    async with world.database.transaction() as session:
        await session.delete(await session.get_one(kind, key))


async def end_families(world: World) -> None:
    """As another process would, of which this one has not heard yet."""
    for family in await world.rows(TokenFamilyRow):
        await world.change(TokenFamilyRow, family.id, revoked_at=world.time())


@pytest.mark.parametrize("what", ENDS)
async def test_what_ends_a_token_is_seen_at_once(world: World, ann: UserRow, what: str):
    tokens = await tokens_for_a(world, ann)
    assert await is_active(world, tokens["access_token"], A)
    world.time.tick(1)
    if (ending := ENDS[what](world, ann)) is not None:
        await ending
    assert not await is_active(world, tokens["access_token"], A)


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_a_revoked_token_is_dead(world: World, ann: UserRow, kind: str):
    tokens = await tokens_for_a(world, ann)
    await revoke(world, tokens[kind], auth=APP)
    assert not await is_active(world, tokens["access_token"], A)
    assert await is_active(world, tokens["refresh_token"], APP) == (kind == "access_token")


async def test_a_permission_that_was_taken_away_is_missing(world: World, ann: UserRow):
    token = (await tokens_for_a(world, ann))["access_token"]
    world.permissions.of[ann.id] = GRANTABLE - {"threads:read"}
    told = (await introspect(world, token, auth=A)).json()
    assert (told["active"], told["scope"]) == (True, "openid")


async def test_who_does_not_authenticate_learns_nothing(world: World, ann: UserRow):  # attacks 17, 25
    token = (await person_tokens(world, ann))["access_token"]
    for refused in (
        await introspect(world, token),
        await introspect(world, token, client_id="web"),
        await introspect(world, token, client_id="a"),
        await introspect(world, token, auth=("a", "cl_cs_b")),
        await introspect(world, token, auth=("web", "")),
    ):
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert refused.headers["www-authenticate"].startswith("Basic")
        assert "active" not in refused.text
    missing = await world.http.post("/oauth/introspect", data={"x": "y"}, auth=A)
    assert missing.json()["error"] == "invalid_request"


async def test_tokens_for_us_are_checked_by_ourselves_alone(world: World, ann: UserRow):
    token = (await person_tokens(world, ann, client="app"))["access_token"]
    assert claims_of(token)["aud"] == ISSUER
    assert not await is_active(world, token, A)
