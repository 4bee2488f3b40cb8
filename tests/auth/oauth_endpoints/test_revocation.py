"""Revocation: a client gives back what is its own; what a refresh token stands for goes as a whole."""

from __future__ import annotations

import asyncio

import pytest

from codelab.store.models import AuditRow, TokenFamilyRow
from tests.auth.oauth_endpoints.flows import person_tokens, revoke
from tests.support.identity import World, claims_of


async def test_with_a_refresh_token_goes_its_family(both: World):  # attack 25
    await both.client("web")
    user = await both.user()
    tokens, others = await person_tokens(both, user), await person_tokens(both, user)
    response = await revoke(both, tokens["refresh_token"], client_id="web")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert (await both.refresh(tokens["refresh_token"])).json()["error"] == "invalid_grant"
    assert not await both.is_good(tokens["access_token"])
    assert await both.is_good(others["access_token"]), "another yes of the same person"
    assert (await both.refresh(others["refresh_token"])).status_code == 200


async def test_one_of_eight_that_refreshes_meanwhile_wins_nothing(both: World):
    await both.client("web")
    tokens = await person_tokens(both, await both.user())
    refreshed, *revoked = await asyncio.gather(
        both.refresh(tokens["refresh_token"]),
        *(revoke(both, tokens["refresh_token"], client_id="web") for _ in range(7)),
    )
    assert {response.status_code for response in revoked} == {200}
    if refreshed.status_code == 200:
        fresh = refreshed.json()
        assert not await both.is_good(fresh["access_token"])
        assert (await both.refresh(fresh["refresh_token"])).status_code == 400


async def test_an_access_token_goes_alone(world: World):
    await world.client("web")
    tokens = await person_tokens(world, await world.user())
    assert (await revoke(world, tokens["access_token"], client_id="web")).status_code == 200
    assert not await world.is_good(tokens["access_token"])
    fresh = await world.refresh(tokens["refresh_token"])
    assert await world.is_good(fresh.json()["access_token"])
    jti = claims_of(tokens["access_token"])["jti"]
    (fact,) = [fact for fact in await world.rows(AuditRow) if fact.type == "auth.token_revoked"]
    assert (fact.subject, fact.client_id) == (f"jti:{jti}", "web")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_another_clients_token_stays(world: World, kind: str):  # attack 25
    await world.client("web")
    await world.client("thief", secret="cl_cs_thief")
    tokens = await person_tokens(world, await world.user())
    response = await revoke(world, tokens[kind], auth=("thief", "cl_cs_thief"))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
    assert await world.is_good(tokens["access_token"])
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


@pytest.mark.parametrize("token", ["cl_rt_unknown", "nonsense", "a.b.c", "é", "x" * 10_000])
async def test_what_is_unknown_is_as_good_as_revoked(world: World, token: str):  # attack 25
    await world.client("web")
    assert (await revoke(world, token, client_id="web")).status_code == 200


async def test_what_is_over_is_as_good_as_revoked(world: World):
    await world.client("web")
    tokens = await person_tokens(world, await world.user())
    for _ in range(2):
        assert (await revoke(world, tokens["refresh_token"], client_id="web")).status_code == 200
    assert (await revoke(world, tokens["access_token"], client_id="web")).status_code == 200
    assert [family.reason for family in await world.rows(TokenFamilyRow)] == ["revoked"]


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "saml_assertion"])
async def test_a_hint_is_not_needed_and_does_no_harm(world: World, hint: str):
    await world.client("web")
    tokens = await person_tokens(world, await world.user())
    assert (await revoke(world, tokens["refresh_token"], client_id="web", token_type_hint=hint)).status_code == 200
    assert not await world.is_good(tokens["access_token"])


async def test_who_does_not_authenticate_revokes_nothing(world: World):  # attack 17
    await world.client("app", secret="cl_cs_app")
    tokens = await person_tokens(world, await world.user(), client="app")
    token = tokens["refresh_token"]
    for refused in (
        await revoke(world, token),
        await revoke(world, token, client_id="app"),
        await revoke(world, token, client_id="nobody"),
        await revoke(world, token, auth=("app", "cl_cs_wrong")),
        await revoke(world, token, client_id="app", client_secret="cl_cs_app"),
    ):
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
        assert refused.headers["www-authenticate"].startswith("Basic")
    assert await world.is_good(tokens["access_token"])
    assert (await revoke(world, token, auth=("app", "cl_cs_app"))).status_code == 200
    assert not await world.is_good(tokens["access_token"])


async def test_a_request_that_is_no_form_is_refused(world: World):  # attack 18
    await world.client("web")
    for path in ("/oauth/revoke", "/oauth/introspect", "/oauth/device_authorization"):
        for response in (
            await world.http.post(f"{path}?client_id=web&token=x", data={"client_id": "web"}),
            await world.http.post(path, json={"client_id": "web", "token": "x"}),
            await world.http.post(path, content="client_id=web&client_id=web", headers={"content-type": FORM}),
        ):
            assert (response.status_code, response.json()["error"]) == (400, "invalid_request"), path
            assert response.headers["cache-control"] == "no-store"
        assert (await world.http.get(path, params={"client_id": "web", "token": "x"})).status_code == 405
    assert (await world.http.post("/oauth/revoke", data={"client_id": "web"})).json()["error"] == "invalid_request"


FORM = "application/x-www-form-urlencoded"
