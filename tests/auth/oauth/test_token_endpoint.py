"""The token endpoint as such: how requests must look, and how clients prove who they are."""

from __future__ import annotations

import base64
import logging
from datetime import timedelta

import pytest

from codelab.auth.oauth.secrets import digest_of
from codelab.core.errors import Unavailable
from codelab.store.models import OAuthClientRow
from tests.support.identity import VERIFIER

SECRET = "cl_cs_" + "s" * 43
FORM = "application/x-www-form-urlencoded"


def error_of(response, status: int = 400) -> str:
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"
    return response.json()["error"]


def basic(name: str, secret: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


async def test_parameters_in_the_address_are_refused(world):  # attack 18
    await world.client(secret=SECRET)
    code = await world.code(await world.user())
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": VERIFIER}
    for query in (f"client_id=web&client_secret={SECRET}", "x=1"):
        assert error_of(await world.http.post(f"/oauth/token?{query}", data=form)) == "invalid_request"


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_a_token_request_is_a_post(world, method):  # attack 18
    response = await world.http.request(method, "/oauth/token?grant_type=refresh_token")
    assert error_of(response, 405) == "invalid_request"
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"grant_type": "refresh_token"}', "application/json"),
        (b"grant_type=refresh_token", "text/plain"),
        (b"grant_type=refresh_token", ""),
        (b"grant_type=a&grant_type=b", FORM),
        (b"client_id=web&client_id=", FORM),
        (b"made_up=1&made_up=1&grant_type=refresh_token", FORM),
        (b"grant_type=refresh_token&refresh_token=%00", FORM),
        (b"grant_type=%ff", FORM),
        (b"grant_type=\xff", FORM),
        (b"", FORM),
        (b"a=" + b"x" * 70_000, FORM),
        (b"&".join(b"a%d=1" % n for n in range(101)), FORM),
    ],
    ids=["json", "plain", "bare", "twice", "empty", "unknown", "nul", "latin", "raw", "nothing", "long", "many"],
)
async def test_anything_but_a_plain_form_is_refused(world, content, kind):  # attack 3
    response = await world.http.post("/oauth/token", content=content, headers={"content-type": kind})
    assert error_of(response) == "invalid_request"


@pytest.mark.parametrize("grant", ["implicit", 'a"b', "ж", "urn:x"])
async def test_an_unknown_grant_is_told_so(world, grant):
    await world.client()
    assert error_of(await world.token(grant_type=grant, client_id="web")) == "unsupported_grant_type"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("web", "wrong"),
        basic("web", ""),
        basic("web", SECRET.upper()),
        basic("other", SECRET),
        basic("%00", SECRET),
        {"authorization": "Basic !"},
        {"authorization": "Basic " + base64.b64encode(b"\xff:\xff").decode()},
        {"authorization": "Basic " + base64.b64encode(b"web").decode()},
        {"authorization": f"Bearer {SECRET}"},
    ],
    ids=["none", "wrong", "empty", "case", "other", "nul", "junk", "bytes", "alone", "bearer"],
)
async def test_who_cannot_prove_to_be_the_client_is_refused(world, headers):  # attack 17
    await world.client(secret=SECRET)
    form = {"grant_type": "authorization_code", "code": "x", **({} if headers else {"client_id": "web"})}
    response = await world.http.post("/oauth/token", data=form, headers=headers)
    assert error_of(response, 401) == "invalid_client"
    assert response.headers["www-authenticate"].startswith("Basic ")


async def test_a_secret_in_the_form_is_another_method(world):  # attack 17
    await world.client(secret=SECRET)
    await world.client("form", secret=SECRET, auth_method="client_secret_post")
    good = {"grant_type": "refresh_token", "refresh_token": "x"}
    assert error_of(await world.token(**good, client_id="web", client_secret=SECRET), 401) == "invalid_client"
    assert error_of(await world.token(**good, client_id="form", client_secret="x"), 401) == "invalid_client"
    assert error_of(await world.token(**good, auth=("form", SECRET)), 401) == "invalid_client"
    assert error_of(await world.token(**good, client_id="form", client_secret=SECRET)) == "invalid_grant"
    assert error_of(await world.token(**good, auth=("web", SECRET))) == "invalid_grant"


async def test_one_way_to_authenticate_is_enough(world):
    await world.client(secret=SECRET)
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    for more in ({"client_secret": SECRET}, {"client_assertion": "x"}, {"client_id": "other"}):
        assert error_of(await world.token(**form, **more, auth=("web", SECRET))) == "invalid_request"
    assert error_of(await world.token(**form, client_id="web", auth=("web", SECRET))) == "invalid_grant"


async def test_nobody_fills_the_memory(world):
    read = 0

    async def chunks():
        nonlocal read
        for _ in range(1000):
            read += 1
            yield b"x" * 10_000

    response = await world.http.post("/oauth/token", content=chunks(), headers={"content-type": FORM})
    assert error_of(response) == "invalid_request"
    assert read < 10


async def test_a_public_client_has_no_secret_to_show(world):
    await world.client()
    response = await world.token(grant_type="authorization_code", code="x", client_id="web", client_secret="x")
    assert error_of(response, 401) == "invalid_client"


async def test_while_a_secret_is_replaced_both_are_good(world):
    old, until = "cl_cs_old", world.time() + timedelta(hours=1)
    await world.client(secret=SECRET, old_secret_digest=digest_of(old), old_secret_until=until)
    form = {"grant_type": "refresh_token", "refresh_token": "x"}
    for secret in (old, SECRET):
        assert error_of(await world.token(**form, auth=("web", secret))) == "invalid_grant"
    world.time.tick(hours=1)
    assert error_of(await world.token(**form, auth=("web", old)), 401) == "invalid_client"
    assert error_of(await world.token(**form, auth=("web", SECRET))) == "invalid_grant"


async def test_a_client_without_a_digest_matches_no_secret(world):
    await world.client(auth_method="client_secret_basic")
    assert error_of(await world.token(grant_type="authorization_code", code="x", auth=("web", "x")), 401)


@pytest.mark.parametrize("grant", ["authorization_code", "refresh_token", "password"])
async def test_a_grant_that_is_not_the_clients_is_refused(world, grant):  # attack 17
    await world.client(grant_types=["urn:ietf:params:oauth:grant-type:device_code"])
    form = {"code": "x", "refresh_token": "x", "username": "a", "password": "b"}
    assert error_of(await world.token(grant_type=grant, client_id="web", **form)) == "unauthorized_client"


async def test_a_disabled_client_cannot_authenticate(world):
    await world.client(secret=SECRET)
    await world.change(OAuthClientRow, "web", disabled_at=world.time())
    assert error_of(await world.token(grant_type="authorization_code", code="x", auth=("web", SECRET)), 401)


async def test_a_server_that_cannot_sign_says_so_and_uses_nothing_up(world):
    await world.client()
    code = await world.code(await world.user())

    class NoKey:
        def sign(self, _claims, **_typ):
            raise Unavailable("There is no key to sign tokens with; try again.")

    good = world.identity.oauth
    object.__setattr__(good, "signer", NoKey())
    assert error_of(await world.redeem(code), 503) == "temporarily_unavailable"
    object.__setattr__(good, "signer", world.identity.keys)
    assert (await world.redeem(code)).status_code == 200


async def test_no_secret_reaches_a_log(world, caplog):
    caplog.set_level(logging.DEBUG)
    await world.client()
    user = await world.user()
    code = await world.code(user, nonce="n", scope="threads:read openid")
    tokens = (await world.redeem(code)).json()
    again = (await world.refresh(tokens["refresh_token"])).json()
    said = "\n".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records if record.name != "httpx")
    issued = [each[name] for each in (tokens, again) for name in ("access_token", "refresh_token")]
    for secret in (code, VERIFIER, tokens["id_token"], *issued):
        assert secret not in said
    assert not logging.getLogger("authlib.oauth2.rfc6749").isEnabledFor(logging.DEBUG)  # it prints tokens
