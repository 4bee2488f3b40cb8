"""`private_key_jwt`: an assertion is good once, briefly, for us, and signed with the client's own key. On both."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from codelab.auth.clients.jwks import public_keys
from codelab.auth.oauth.assertions import ASSERTION_TYPE
from codelab.store.models import UsedAssertionRow
from tests.support.identity import ISSUER, World, claims_of

TOKEN_ENDPOINT = f"{ISSUER}/oauth/token"
RSA = RSAKey.generate_key(2048, {"kid": "rsa"})
EC = ECKey.generate_key("P-256", {"kid": "ec"})
FOREIGN = RSAKey.generate_key(2048, {"kid": "rsa"})


async def register(world: World) -> None:
    keys = public_keys({"keys": [RSA.as_dict(private=False), EC.as_dict(private=False)]})
    common = {"auth_method": "private_key_jwt", "grant_types": ["client_credentials"], "scopes": ["threads:read"]}
    await world.client("robot", jwks=keys, **common)
    await world.client("other", jwks=public_keys({"keys": [FOREIGN.as_dict(private=False)]}), **common)


@pytest.fixture
async def served(world: World) -> World:
    await register(world)
    return world


def claims(world: World, **changes) -> dict:
    now = int(world.time.seconds())
    made = {"iss": "robot", "sub": "robot", "aud": ISSUER, "exp": now + 60, "iat": now, "jti": "one", **changes}
    return {name: value for name, value in made.items() if value is not None}


def signed(world: World, *, key=RSA, alg="RS256", header=None, **changes) -> str:
    return jwt.encode(
        {"alg": alg, "kid": key.kid, **(header or {})}, claims(world, **changes), key, algorithms=[alg],
    )  # fmt: skip


async def ask(world: World, assertion: str, **changes):
    form = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion, **changes}
    return await world.token(grant_type="client_credentials", **form)


@pytest.mark.parametrize("audience", [ISSUER, TOKEN_ENDPOINT, ["https://else.example", TOKEN_ENDPOINT]], ids=range(3))
async def test_an_assertion_for_us_is_taken(served: World, audience):
    response = await ask(served, signed(served, aud=audience))
    assert response.status_code == 200, response.text
    assert claims_of(response.json()["access_token"])["sub"] == "robot"


async def test_a_curve_is_as_good(served: World):
    assert (await ask(served, signed(served, key=EC, alg="ES256"), client_id="robot")).status_code == 200


async def test_of_eight_uses_at_once_one_is_good(both: World):
    await register(both)
    assertion = signed(both)
    responses = await asyncio.gather(*(ask(both, assertion) for _ in range(8)))
    assert sorted(r.status_code for r in responses) == [200] + 7 * [401]
    assert (await ask(both, assertion)).status_code == 401
    assert (await ask(both, signed(both, jti="two"))).status_code == 200
    assert {(row.client_id, row.jti) for row in await both.rows(UsedAssertionRow)} == {
        ("robot", "one"), ("robot", "two"),
    }  # fmt: skip


async def test_a_use_is_remembered_as_long_as_it_could_be_repeated(served: World):
    assertion = signed(served, exp=int(served.time.seconds()) + 3600)
    assert (await ask(served, assertion)).status_code == 200
    served.time.tick(3600 + 30)
    assert (await ask(served, signed(served, jti="one", exp=int(served.time.seconds()) - 29))).status_code == 401
    assert (await served.rows(UsedAssertionRow))[0].expires_at > served.time()


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "https://b.example.org"},
        {"aud": None},
        {"aud": f"{ISSUER}/oauth"},
        {"aud": []},
        {"sub": "other"},
        {"iss": "other"},
        {"iss": "other", "sub": "other"},
        {"sub": ["robot"]},
        {"sub": None},
        {"iss": None},
        {"jti": None},
        {"jti": ""},
        {"jti": 5},
        {"jti": "a\0b"},
        {"jti": "j" * 201},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": 0},
        {"exp": 2**40},
        {"nbf": 2**40},
    ],
    ids=range(23),
)
async def test_a_claim_that_is_wrong_is_refused(served: World, wrong: dict):
    response = await ask(served, signed(served, **wrong))
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert await served.rows(UsedAssertionRow) == [], "what is refused uses nothing up"
    assert (await ask(served, signed(served))).status_code == 200


def parts(header: dict, payload: dict) -> str:
    def packed(part: dict) -> str:
        return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()

    return f"{packed(header)}.{packed(payload)}"


@pytest.mark.parametrize(
    "how", ["none", "hmac", "foreign", "jwk", "kid", "no kid", "algorithm", "text", "deep", "huge"]
)
async def test_what_is_signed_otherwise_is_refused(served: World, how: str):  # attack 28
    pem = OctKey.import_key(base64.b64encode(RSA.as_pem(private=False)))
    hmac = jwt.encode({"alg": "HS256", "kid": "rsa"}, claims(served), pem, algorithms=["HS256"])
    forged = {
        "none": parts({"alg": "none", "kid": "rsa"}, claims(served)) + ".",
        "hmac": hmac,
        "foreign": signed(served, key=FOREIGN),
        "jwk": signed(served, key=FOREIGN, header={"jwk": FOREIGN.as_dict(private=False)}),
        "kid": signed(served, header={"kid": "ec"}),
        "no kid": jwt.encode({"alg": "RS256"}, claims(served), RSA),
        "algorithm": signed(served, alg="PS256"),
        "text": "not.a.jwt",
        "deep": "e30." + base64.urlsafe_b64encode(b"[" * 5000).rstrip(b"=").decode() + ".AAAA",
        "huge": signed(served, more="x" * 9000),
    }[how]
    response = await ask(served, forged)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


async def test_an_assertion_speaks_for_its_own_client(served: World):
    response = await ask(served, signed(served), client_id="other")
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


async def test_a_client_with_a_key_needs_it(served: World):
    assert (await served.token(grant_type="client_credentials", client_id="robot")).status_code == 401
    assert (await served.token(grant_type="client_credentials", auth=("robot", "anything"))).status_code == 401
    await served.client("secretive", secret="cl_cs_s", grant_types=["client_credentials"], scopes=["threads:read"])
    assertion = signed(served, iss="secretive", sub="secretive")
    assert (await ask(served, assertion)).status_code == 401
