"""Refresh tokens: each good once, a family that ends together, and a life that nothing prolongs."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete

from codelab.auth.seams import Origin, Proof
from codelab.core.types import Principal
from codelab.store.models import AuditRow, OAuthClientRow, RefreshTokenRow, RevocationRow, TokenFamilyRow, UserRow
from tests.support.identity import answer_of, claims_of, serving


def error_of(response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    return response.json()["error"]


async def test_every_refresh_gives_another_token_of_the_same_family(both):
    await both.client()
    first = await both.tokens(await both.user())
    both.time.tick(60)
    second = (await both.refresh(first["refresh_token"])).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["refresh_token"].startswith("cl_rt_")
    old, new = claims_of(first["access_token"]), claims_of(second["access_token"])
    assert new["iat"] == old["iat"] + 60
    assert {name: new[name] for name in ("fid", "sub", "aud", "scope", "auth_time")} == {
        name: old[name] for name in ("fid", "sub", "aud", "scope", "auth_time")
    }
    assert new["jti"] != old["jti"]
    rows = await both.rows(RefreshTokenRow)
    assert all(first["refresh_token"] not in repr(vars(row)) for row in rows)


async def test_of_twenty_who_refresh_one_gets_tokens(both):  # attack 20
    await both.client()
    tokens = await both.tokens(await both.user())
    answers = await asyncio.gather(*(both.refresh(tokens["refresh_token"]) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 19
    assert {error_of(answer) for answer in answers if answer.status_code != 200} == {"invalid_grant"}
    (winner,) = [answer.json() for answer in answers if answer.status_code == 200]
    assert error_of(await both.refresh(winner["refresh_token"])) == "invalid_grant"


async def test_a_token_that_comes_twice_ends_its_family(both):  # attack 20
    await both.client()
    first = await both.tokens(await both.user())
    second = (await both.refresh(first["refresh_token"])).json()
    third = (await both.refresh(second["refresh_token"])).json()
    assert error_of(await both.refresh(first["refresh_token"])) == "invalid_grant"
    assert error_of(await both.refresh(third["refresh_token"])) == "invalid_grant"
    for tokens in (first, second, third):
        assert not await both.is_good(tokens["access_token"])
    (family,) = await both.rows(TokenFamilyRow)
    assert family.reason == "reused"
    assert [row.subject for row in await both.rows(RevocationRow)] == [f"family:{family.id}"]
    (fact,) = [row for row in await both.rows(AuditRow) if row.type == "auth.token_reused"]
    assert (fact.outcome, fact.subject, fact.client_id) == ("denied", f"family:{family.id}", "web")


async def test_who_comes_second_by_a_clock_that_is_behind_is_second_all_the_same(world):  # attack 20
    await world.client()
    first = await world.tokens(await world.user())
    world.time.tick(1)
    assert (await world.refresh(first["refresh_token"])).status_code == 200
    world.time.tick(-0.5)
    assert error_of(await world.refresh(first["refresh_token"])) == "invalid_grant"


async def test_another_client_gets_nothing_and_harms_nothing(world):  # attack 19
    await world.client()
    await world.client("other")
    tokens = await world.tokens(await world.user())
    assert error_of(await world.refresh(tokens["refresh_token"], client_id="other")) == "invalid_grant"
    assert await world.is_good(tokens["access_token"])
    later = (await world.refresh(tokens["refresh_token"])).json()
    assert error_of(await world.refresh(tokens["refresh_token"], client_id="other")) == "invalid_grant"
    assert (await world.refresh(later["refresh_token"])).status_code == 200


@pytest.mark.parametrize("scope", ["threads:read threads:write", "threads:write", "nothing:real", "openid", " "])
async def test_more_than_was_granted_is_refused_and_costs_nothing(both, scope):  # attack 19
    await both.client()
    tokens = await both.tokens(await both.user(), scope="threads:read runs:read")
    assert error_of(await both.refresh(tokens["refresh_token"], scope=scope)) == "invalid_scope"
    assert (await both.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_part_may_be_asked_for_and_the_whole_again(world):
    await world.client()
    tokens = await world.tokens(await world.user(), scope="threads:read runs:read")
    part = (await world.refresh(tokens["refresh_token"], scope="runs:read")).json()
    assert (part["scope"], claims_of(part["access_token"])["scope"]) == ("runs:read", "runs:read")
    assert (await world.refresh(part["refresh_token"])).json()["scope"] == "threads:read runs:read"


async def test_what_the_client_may_not_ask_for_any_more_is_refused(world):
    await world.client()
    tokens = await world.tokens(await world.user(), scope="threads:read runs:read")
    await world.change(OAuthClientRow, "web", scopes=["runs:read"])
    assert error_of(await world.refresh(tokens["refresh_token"])) == "invalid_scope"
    assert (await world.refresh(tokens["refresh_token"], scope="runs:read")).status_code == 200


@pytest.mark.parametrize("token", ["cl_rt_nonsense", "ж", "x" * 5000, None])
async def test_a_made_up_token_is_no_good(world, token):
    await world.client()
    assert error_of(await world.refresh(token)) == ("invalid_request" if token is None else "invalid_grant")


async def test_an_access_token_refreshes_nothing(world):
    await world.client()
    tokens = await world.tokens(await world.user())
    assert error_of(await world.refresh(tokens["access_token"])) == "invalid_grant"


# What ends it


async def disable(world, user) -> None:
    await world.change(UserRow, user.id, is_active=False)


async def new_password(world, user) -> None:
    world.time.tick(1)
    await world.change(UserRow, user.id, password_changed_at=world.time())


async def lose_role(world, user) -> None:
    world.permissions.of[user.id] = frozenset({"threads:read"})


@pytest.mark.parametrize(
    ("happens", "reason"),
    [(disable, "user_disabled"), (new_password, "password_changed"), (lose_role, "permission_lost")],
)
async def test_a_change_of_the_person_ends_the_family(both, happens, reason):  # attack 21
    await both.client()
    user = await both.user()
    tokens = await both.tokens(user, scope="threads:read runs:read")
    await happens(both, user)
    assert error_of(await both.refresh(tokens["refresh_token"], scope="threads:read")) == "invalid_grant"
    assert not await both.is_good(tokens["access_token"])
    (family,) = await both.rows(TokenFamilyRow)
    assert family.reason == reason


async def test_it_stays_ended_when_the_change_is_taken_back(world):  # attack 21
    await world.client()
    user = await world.user()
    tokens = await world.tokens(user)
    await disable(world, user)
    await world.refresh(tokens["refresh_token"])
    await world.change(UserRow, user.id, is_active=True)
    assert error_of(await world.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_a_password_from_before_ends_nothing(world):
    await world.client()
    user = await world.user(password_changed_at=world.time())
    world.time.tick(1)
    tokens = await world.tokens(user)
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_permission_that_was_not_granted_may_go(world):
    await world.client()
    user = await world.user()
    tokens = await world.tokens(user, scope="threads:read openid")
    await lose_role(world, user)
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_disabled_client_ends_the_family(world):  # attack 21
    await world.client()
    tokens = await world.tokens(await world.user())
    await world.change(OAuthClientRow, "web", disabled_at=world.time())
    assert error_of(await world.refresh(tokens["refresh_token"])) == "invalid_grant"
    assert not await world.is_good(tokens["access_token"])
    await world.change(OAuthClientRow, "web", disabled_at=None)
    assert error_of(await world.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_a_disabled_client_harms_no_others_token(world):
    await world.client()
    await world.client("off", disabled_at=world.time())
    tokens = await world.tokens(await world.user())
    assert error_of(await world.refresh(tokens["refresh_token"], client_id="off")) == "invalid_grant"
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_deleted_clients_tokens_are_no_good(both):  # attack 21
    await both.client()
    tokens = await both.tokens(await both.user())
    async with both.database.transaction() as session:
        await session.execute(delete(OAuthClientRow))
    assert error_of(await both.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_what_was_given_in_a_session_ends_with_it(both):
    await both.client()
    user = await both.user()
    tokens = await both.tokens(user, scope="threads:read")
    (session,) = await both.identity.sessions.list(Principal(user.id))
    await both.identity.sessions.revoke(Principal(user.id), session.id)
    assert not await both.is_good(tokens["access_token"])
    both.time.tick(days=1)  # no revocation is remembered so long
    assert error_of(await both.refresh(tokens["refresh_token"])) == "invalid_grant"


async def test_what_was_given_for_longer_outlives_the_session(both):
    await both.client()
    user = await both.user()
    tokens = await both.tokens(user, scope="threads:read offline_access")
    assert "sid" not in claims_of(tokens["access_token"])
    await both.identity.sessions.revoke_others(Principal(user.id))
    assert await both.is_good(tokens["access_token"])
    assert (await both.refresh(tokens["refresh_token"])).status_code == 200


async def test_signing_in_again_in_the_same_browser_ends_nothing(world):
    await world.client()
    user = await world.user()
    cookie = await world.sign_in(user)
    code = answer_of(await world.decide(cookie))["code"]
    tokens = (await world.redeem(code)).json()
    await world.identity.sessions.start(user, Proof(auth_time=world.time()), Origin(), previous=cookie)
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


# How long it lives


async def test_who_does_not_come_for_two_weeks_is_asked_again(world):
    await world.client()
    user = await world.user()
    idle = await world.tokens(user)
    world.time.tick(days=14)
    assert error_of(await world.refresh(idle["refresh_token"])) == "invalid_grant"


async def test_no_rotation_prolongs_the_life_of_a_family(both):  # attack 22
    await both.client()
    tokens = await both.tokens(await both.user())
    for _ in range(8):
        both.time.tick(days=11)
        response = await both.refresh(tokens["refresh_token"])
        assert response.status_code == 200
        tokens = response.json()
    both.time.tick(days=2)  # the 90th day
    assert error_of(await both.refresh(tokens["refresh_token"])) == "invalid_grant"
    (family,) = await both.rows(TokenFamilyRow)
    assert max(row.expires_at for row in await both.rows(RefreshTokenRow)) == family.expires_at


# A lost answer


async def test_a_token_may_come_again_at_once_where_that_is_allowed(database_url):  # attack 20
    async with serving(database_url, refresh_leeway_s=10) as world:
        await world.client()
        first = await world.tokens(await world.user())
        world.time.tick(1)
        lost = await world.refresh(first["refresh_token"])
        world.time.tick(9)
        again = await world.refresh(first["refresh_token"])
        assert (lost.status_code, again.status_code) == (200, 200)
        assert (await world.refresh(again.json()["refresh_token"])).status_code == 200
        assert error_of(await world.refresh(first["refresh_token"])) == "invalid_grant"  # it is not the last any more
        assert not await world.is_good(first["access_token"])


async def test_a_token_that_comes_again_later_ends_its_family_all_the_same(sqlite_url):  # attack 20
    async with serving(sqlite_url, refresh_leeway_s=10) as world:
        await world.client()
        first = await world.tokens(await world.user())
        second = (await world.refresh(first["refresh_token"])).json()
        world.time.tick(10)
        assert error_of(await world.refresh(first["refresh_token"])) == "invalid_grant"
        assert error_of(await world.refresh(second["refresh_token"])) == "invalid_grant"


async def test_all_who_come_at_once_get_tokens_where_that_is_allowed(database_url):
    async with serving(database_url, refresh_leeway_s=10) as world:
        await world.client()
        first = await world.tokens(await world.user())
        world.time.tick(1)
        answers = await asyncio.gather(*(world.refresh(first["refresh_token"]) for _ in range(5)))
        assert [answer.status_code for answer in answers] == [200] * 5
