"""Authorization codes: good once, for a minute, for who asked; and what the tokens say that come of them."""

from __future__ import annotations

import asyncio
import base64
import hashlib

import pytest

from codelab.store.models import AuditRow, AuthorizationCodeRow, TokenFamilyRow, UserRow
from tests.support.identity import ISSUER, NOON, REDIRECT, VERIFIER, claims_of, header_of

MCP = f"{ISSUER}/mcp"


def error_of(response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    return response.json()["error"]


# Good once


async def test_of_eight_who_redeem_a_code_one_gets_tokens(both):  # attack 7
    await both.client()
    code = await both.code(await both.user())
    answers = await asyncio.gather(*(both.redeem(code) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [400] * 7
    assert {answer.json()["error"] for answer in answers if answer.status_code == 400} == {"invalid_grant"}


async def test_a_code_that_comes_twice_ends_what_came_of_it(both):  # attack 7
    await both.client()
    code = await both.code(await both.user())
    tokens = (await both.redeem(code)).json()
    later = (await both.refresh(tokens["refresh_token"])).json()
    assert await both.is_good(later["access_token"])
    assert error_of(await both.redeem(code)) == "invalid_grant"
    assert not await both.is_good(tokens["access_token"])
    assert not await both.is_good(later["access_token"])
    assert error_of(await both.refresh(later["refresh_token"])) == "invalid_grant"
    (family,) = await both.rows(TokenFamilyRow)
    assert (family.revoked_at, family.reason) == (NOON, "reused")
    assert "auth.token_reused" in {row.type for row in await both.rows(AuditRow)}


@pytest.mark.parametrize("changes", [{}, {"code_verifier": None}, {"redirect_uri": None}], ids=["all", "some", "less"])
async def test_a_thief_who_comes_late_or_knows_less_ends_it_too(world, changes):  # attack 7
    await world.client()
    code = await world.code(await world.user())
    tokens = (await world.redeem(code)).json()
    world.time.tick(61)
    assert error_of(await world.redeem(code, **changes)) == "invalid_grant"
    assert not await world.is_good(tokens["access_token"])


async def test_what_others_have_lives_on(world):
    await world.client()
    user = await world.user()
    code, other = await world.code(user), await world.tokens(user)
    await world.redeem(code)
    await world.redeem(code)
    assert await world.is_good(other["access_token"])
    assert (await world.refresh(other["refresh_token"])).status_code == 200


@pytest.mark.parametrize(
    ("verifier", "error"),
    [
        ("w" * 50, "invalid_grant"),
        (None, "invalid_request"),
        ("", "invalid_request"),
        (VERIFIER[:42], "invalid_request"),
        ("v" * 129, "invalid_request"),
        ("v" * 49 + "!", "invalid_request"),
        ("ж" * 50, "invalid_request"),
    ],
    ids=["wrong", "absent", "empty", "short", "long", "marks", "letters"],
)
async def test_whoever_guesses_a_verifier_has_one_try(both, verifier, error):  # attack 8
    await both.client()
    code = await both.code(await both.user())
    assert error_of(await both.redeem(code, code_verifier=verifier)) == error
    assert error_of(await both.redeem(code)) == "invalid_grant"
    assert not await both.rows(TokenFamilyRow)


async def test_a_verifier_that_nobody_asked_for_is_refused(world):  # attack 8: the challenge was stripped on the way
    await world.client()
    code = await world.code(await world.user())
    (row,) = await world.rows(AuthorizationCodeRow)
    await world.change(AuthorizationCodeRow, row.digest, code_challenge="")
    assert error_of(await world.redeem(code)) == "invalid_request"


async def test_a_code_of_another_client_is_no_good_and_stays_good(world):  # attack 9
    await world.client()
    await world.client("other")
    code = await world.code(await world.user())
    assert error_of(await world.redeem(code, client_id="other")) == "invalid_grant"
    assert (await world.redeem(code)).status_code == 200


@pytest.mark.parametrize("uri", ["https://client.example/cb2", f"{REDIRECT}/", None])
async def test_the_redirect_address_must_be_the_same(world, uri):  # attack 9
    await world.client(redirect_uris=[REDIRECT, "https://client.example/cb2"])
    code = await world.code(await world.user())
    assert error_of(await world.redeem(code, redirect_uri=uri)) == "invalid_grant"


async def test_the_port_too_must_be_the_same(world):  # attack 9
    await world.client(redirect_uris=["http://127.0.0.1/cb"])
    code = await world.code(await world.user(), redirect_uri="http://127.0.0.1:4000/cb")
    assert error_of(await world.redeem(code, redirect_uri="http://127.0.0.1:4001/cb")) == "invalid_grant"
    assert (await world.redeem(code, redirect_uri="http://127.0.0.1:4000/cb")).status_code == 200


@pytest.mark.parametrize(("seconds", "status"), [(59, 200), (60, 400)])
async def test_a_code_lasts_a_minute(both, seconds, status):  # attack 10
    await both.client()
    code = await both.code(await both.user())
    both.time.tick(seconds)
    assert (await both.redeem(code)).status_code == status


@pytest.mark.parametrize("code", ["cl_ac_nonsense", "ж", "x" * 5000, None])
async def test_a_made_up_code_is_no_good(world, code):
    await world.client()
    assert error_of(await world.redeem(code)) == ("invalid_request" if code is None else "invalid_grant")


async def test_a_disabled_persons_code_is_no_good(world):
    await world.client()
    user = await world.user()
    code = await world.code(user)
    await world.change(UserRow, user.id, is_active=False)
    assert error_of(await world.redeem(code)) == "invalid_grant"


async def test_a_new_password_ends_codes(world):
    await world.client()
    user = await world.user()
    code = await world.code(user)
    world.time.tick(1)
    await world.change(UserRow, user.id, password_changed_at=world.time())
    assert error_of(await world.redeem(code)) == "invalid_grant"


# What the tokens say


async def test_an_access_token_says_who_may_what_where(world):
    await world.client()
    user = await world.user()
    tokens = await world.tokens(user, scope="threads:read runs:read")
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 600
    assert tokens["scope"] == "threads:read runs:read"
    assert "id_token" not in tokens
    assert header_of(tokens["access_token"]) == {"alg": "RS256", "kid": "test", "typ": "at+jwt"}
    claims = claims_of(tokens["access_token"])
    (family,) = await world.rows(TokenFamilyRow)
    now = int(NOON.timestamp())
    assert claims.pop("jti")
    assert claims == {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": user.id,
        "client_id": "web",
        "scope": "threads:read runs:read",
        "tid": "default",
        "fid": family.id,
        "sid": family.session_id,
        "iat": now,
        "exp": now + 600,
        "auth_time": now,
        "amr": ["pwd"],
        "acr": "1",
    }


async def test_an_id_token_tells_the_client_and_nobody_else(world):
    await world.client()
    user = await world.user()
    cookie = await world.sign_in(user)
    world.time.tick(30)
    response = await world.decide(cookie, scope="openid threads:read", nonce="n-1")
    code = dict(pair.split("=") for pair in response.headers["location"].split("?")[1].split("&"))["code"]
    tokens = (await world.redeem(code)).json()
    claims = claims_of(tokens["id_token"])
    half = hashlib.sha256(tokens["access_token"].encode()).digest()[:16]
    assert header_of(tokens["id_token"])["typ"] == "JWT"
    assert (claims["aud"], claims["sub"], claims["iss"]) == ("web", user.id, ISSUER)
    assert (claims["nonce"], claims["auth_time"]) == ("n-1", int(NOON.timestamp()))
    assert claims["at_hash"] == base64.urlsafe_b64encode(half).rstrip(b"=").decode()
    assert not await world.is_good(tokens["id_token"])
    again = (await world.refresh(tokens["refresh_token"])).json()
    assert "nonce" not in claims_of(again["id_token"])
    assert claims_of(again["id_token"])["auth_time"] == claims["auth_time"]


async def test_a_client_without_the_grant_gets_no_refresh_token(world):
    await world.client(grant_types=["authorization_code"])
    assert "refresh_token" not in await world.tokens(await world.user())


@pytest.mark.parametrize(
    ("at_authorize", "at_token", "audience"),
    [
        (None, None, ISSUER),
        (None, MCP, MCP),
        (f"{ISSUER}/", None, ISSUER),
        (MCP, None, MCP),
        (MCP, f"{MCP}/", MCP),
        ("https://api.example/v2", None, "https://api.example/v2"),
        ("https://api.example/v2", "https://api.example/v2", "https://api.example/v2"),
    ],
)
async def test_a_token_is_for_the_resource_that_was_asked_for(world, at_authorize, at_token, audience):
    await world.client(audiences=["https://api.example/v2"])
    code = await world.code(await world.user(), resource=at_authorize)
    tokens = (await world.redeem(code, resource=at_token)).json()
    assert claims_of(tokens["access_token"])["aud"] == audience


@pytest.mark.parametrize(
    ("at_authorize", "at_token"),
    [(None, "https://api.example/v2"), (MCP, ISSUER), (MCP, "https://api.example/v2"), (None, "https://no.example")],
)
async def test_a_resource_is_never_widened_and_the_try_costs_nothing(world, at_authorize, at_token):
    await world.client(audiences=["https://api.example/v2"])
    code = await world.code(await world.user(), resource=at_authorize)
    assert error_of(await world.redeem(code, resource=at_token)) == "invalid_target"
    tokens = (await world.redeem(code)).json()
    assert error_of(await world.refresh(tokens["refresh_token"], resource=at_token)) == "invalid_target"
    assert (await world.refresh(tokens["refresh_token"])).status_code == 200


async def test_a_token_that_is_issued_in_the_second_of_a_revocation_lives(world):
    """Somebody signs in right after a new password ended all that was there."""
    await world.client()
    user = await world.user()
    before = await world.tokens(user)
    async with world.database.transaction() as session:
        await session.run_sync(lambda sync: world.identity.revocations.revoke(sync, [f"user:{user.id}"]))
    after = await world.tokens(user)
    assert [await world.is_good(tokens["access_token"]) for tokens in (before, after)] == [False, True]
