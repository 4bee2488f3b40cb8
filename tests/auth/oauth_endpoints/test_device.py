"""The device flow: a code that a person types in elsewhere, and a device that waits without hurry."""

from __future__ import annotations

import asyncio
import re
from types import SimpleNamespace

import pytest

from codelab.auth.oauth import device
from codelab.auth.oauth.device import ALPHABET, MOST_GUESSES, Devices, plain
from codelab.auth.seams import Origin, Proof
from codelab.core.errors import RateLimited
from codelab.core.permissions import GRANTABLE
from codelab.server.oauth.endpoints import MOST_DEVICES
from codelab.store.models import AuditRow, DeviceCodeRow, OAuthClientRow, TokenFamilyRow, UserRow
from tests.support.identity import ISSUER, World, claims_of

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
HERE = Origin(address="192.0.2.1")


async def begin(world: World, **form: str) -> dict:
    response = await start(world, **form)
    assert response.status_code == 200, response.text
    return response.json()


async def start(world: World, *, auth=None, **form: str):
    return await world.http.post("/oauth/device_authorization", data={"client_id": "codelab-cli", **form}, auth=auth)


async def poll(world: World, code: str, **form: str):
    return await world.token(grant_type=GRANT, device_code=code, **{"client_id": "codelab-cli", **form})


async def error(world: World, code: str, **form: str) -> str:
    response = await poll(world, code, **form)
    assert response.status_code == 400
    return response.json()["error"]


def devices(world: World) -> Devices:
    return Devices(world.database, world.identity.oauth, world.identity.attempts)


def session_of(world: World, user: UserRow):
    proof = Proof(auth_time=world.time())
    return SimpleNamespace(id="session", user_id=user.id, tenant_id=user.tenant_id, proof=proof)


async def decide(world: World, code: str, user: UserRow, *, approve: bool = True) -> bool:
    return await devices(world).decide(code, session_of(world, user), approve=approve, origin=HERE)


async def seeded(world: World) -> UserRow:
    await world.identity.clients.seed()
    return await world.user()


@pytest.fixture
async def ann(world: World) -> UserRow:
    return await seeded(world)


async def test_a_device_gets_tokens_for_who_said_yes(both: World):
    ann = await seeded(both)
    told = await begin(both, scope="threads:read openid offline_access")
    assert re.fullmatch(f"[{ALPHABET}]{{4}}-[{ALPHABET}]{{4}}", told["user_code"])
    assert told["device_code"].startswith("cl_dc_")
    assert (told["verification_uri"], told["interval"], told["expires_in"]) == (f"{ISSUER}/device", 5, 600)
    assert told["verification_uri_complete"] == f"{ISSUER}/device?user_code={told['user_code']}"
    assert await error(both, told["device_code"]) == "authorization_pending"
    ask = await devices(both).find(told["user_code"].lower().replace("-", " "), session_of(both, ann), HERE)
    assert (ask.client_name, ask.user_code, ask.dynamic) == ("CodeLab CLI", told["user_code"], False)
    assert ask.scopes == ["threads:read", "openid", "offline_access"]
    assert await decide(both, told["user_code"], ann)
    tokens = (await poll(both, told["device_code"])).json()
    claims = claims_of(tokens["access_token"])
    assert (claims["sub"], claims["client_id"], claims["aud"]) == (ann.id, "codelab-cli", ISSUER)
    assert tokens["scope"] == claims["scope"] == "threads:read openid offline_access"
    assert claims_of(tokens["id_token"])["aud"] == "codelab-cli"
    assert "sid" not in claims, "it stays when the browser signs out"
    fresh = await both.refresh(tokens["refresh_token"], client_id="codelab-cli")
    assert fresh.status_code == 200
    assert claims_of(fresh.json()["access_token"])["fid"] == claims["fid"]


async def test_of_eight_polls_at_once_one_gets_tokens(both: World):
    ann = await seeded(both)
    told = await begin(both, scope="threads:read")
    await decide(both, told["user_code"], ann)
    responses = await asyncio.gather(*(poll(both, told["device_code"]) for _ in range(8)))
    assert sorted(r.status_code for r in responses) == [200] + 7 * [400]
    (family,) = await both.rows(TokenFamilyRow)
    assert family.reason == "reused", "a code in two hands: nobody keeps what came of it"
    (good,) = (r.json() for r in responses if r.status_code == 200)
    assert not await both.is_good(good["access_token"])
    assert (await both.refresh(good["refresh_token"], client_id="codelab-cli")).status_code == 400


async def test_of_two_decisions_at_once_one_counts(both: World):
    ann, bob = await seeded(both), await both.user("bob@example.org")
    told = await begin(both, scope="threads:read")
    decided = await asyncio.gather(
        *(decide(both, told["user_code"], user, approve=approve) for user in (ann, bob) for approve in (True, False))
    )
    assert sorted(decided) == [False, False, False, True]
    assert await decide(both, told["user_code"], ann) is False, "decided is decided"
    assert await devices(both).find(told["user_code"], session_of(both, ann), HERE) is None


async def test_codes_are_kept_as_digests(world: World, ann: UserRow):
    told = await begin(world)
    (row,) = await world.rows(DeviceCodeRow)
    kept = str(vars(row))
    assert told["device_code"] not in kept
    assert plain(told["user_code"]) not in kept
    await decide(world, told["user_code"], ann)
    await poll(world, told["device_code"])
    facts = str([vars(fact) for fact in await world.rows(AuditRow)])
    assert told["device_code"] not in facts
    assert told["user_code"] not in facts


async def test_who_said_no_is_heard(world: World, ann: UserRow):
    told = await begin(world)
    assert await decide(world, told["user_code"], ann, approve=False)
    assert await error(world, told["device_code"]) == "access_denied"
    assert await world.rows(TokenFamilyRow) == []
    (fact,) = [fact for fact in await world.rows(AuditRow) if fact.type == "auth.consent_granted"]
    assert (fact.outcome, fact.owner_id, fact.address) == ("denied", ann.id, "192.0.2.1")


@pytest.mark.usefixtures("ann")
async def test_a_device_in_a_hurry_must_wait_longer(world: World):
    code = (await begin(world))["device_code"]
    waits = []
    for pause in (0, 5, 2, 5, 9, 14, 15, 15):
        world.time.tick(pause)
        waits.append(await error(world, code))
    pending, slow = "authorization_pending", "slow_down"
    assert waits == [pending, pending, slow, slow, slow, slow, slow, slow]
    world.time.tick(40)
    assert await error(world, code) == pending
    for _ in range(20):
        assert await error(world, code) == slow
    (row,) = await world.rows(DeviceCodeRow)
    assert row.interval_s == 60, "it never waits for ever"


async def test_a_hurry_costs_nobody_their_yes(world: World, ann: UserRow):
    told = await begin(world, scope="threads:read")
    await poll(world, told["device_code"])
    assert await error(world, told["device_code"]) == "slow_down"
    await decide(world, told["user_code"], ann)
    assert (await poll(world, told["device_code"])).status_code == 200


async def test_a_code_is_over_after_ten_minutes(world: World, ann: UserRow):
    told, late = await begin(world), await begin(world)
    await decide(world, late["user_code"], ann)
    world.time.tick(600)
    assert await error(world, told["device_code"]) == "expired_token"
    assert await error(world, late["device_code"]) == "expired_token", "a yes that came in time, and nobody fetched"
    assert await decide(world, told["user_code"], ann) is False
    assert await devices(world).find(told["user_code"], session_of(world, ann), HERE) is None


async def test_another_client_gets_nothing(world: World, ann: UserRow):
    await world.client("web", grant_types=[GRANT], scopes=["threads:read"])
    told = await begin(world, scope="threads:read")
    await decide(world, told["user_code"], ann)
    assert await error(world, told["device_code"], client_id="web") == "invalid_grant"
    assert await error(world, "cl_dc_unknown") == "invalid_grant"
    assert (await poll(world, told["device_code"])).status_code == 200, "the other's try cost nothing"


async def test_a_person_gives_what_they_hold(world: World, ann: UserRow):
    world.permissions.of[ann.id] = frozenset({"threads:read"})
    told = await begin(world, scope="threads:read users:admin")
    ask = await devices(world).find(told["user_code"], session_of(world, ann), HERE)
    assert ask.scopes == ["threads:read"]
    await decide(world, told["user_code"], ann)
    assert (await poll(world, told["device_code"])).json()["scope"] == "threads:read"
    told = await begin(world, scope="users:admin")
    await decide(world, told["user_code"], ann)
    assert await error(world, told["device_code"]) == "access_denied"


@pytest.mark.parametrize("lost", ["active", "password", "permission"])
async def test_what_changed_since_the_yes_counts(world: World, ann: UserRow, lost: str):
    told = await begin(world, scope="threads:read")
    await world.change(UserRow, ann.id, password_changed_at=world.time())
    world.time.tick(1)
    await decide(world, told["user_code"], ann)
    world.time.tick(1)
    if lost == "permission":
        world.permissions.of[ann.id] = GRANTABLE - {"threads:read"}
    elif lost == "active":
        await world.change(UserRow, ann.id, is_active=False)
    else:
        await world.change(UserRow, ann.id, password_changed_at=world.time())
    assert await error(world, told["device_code"]) == "invalid_grant"


async def test_a_password_that_was_changed_before_the_yes_is_no_obstacle(world: World, ann: UserRow):
    told = await begin(world, scope="threads:read")
    world.time.tick(1)
    await world.change(UserRow, ann.id, password_changed_at=world.time())
    world.time.tick(1)
    await decide(world, told["user_code"], ann)
    assert (await poll(world, told["device_code"])).status_code == 200


async def test_a_client_that_is_disabled_meanwhile_gets_nothing(world: World, ann: UserRow):
    told = await begin(world, scope="threads:read")
    await world.change(OAuthClientRow, "codelab-cli", disabled_at=world.time())
    assert await devices(world).find(told["user_code"], session_of(world, ann), HERE) is None
    assert await decide(world, told["user_code"], ann) is False
    assert (await poll(world, told["device_code"])).status_code == 401


@pytest.mark.usefixtures("ann")
async def test_what_a_client_may_not_ask_for_is_refused(world: World):
    await world.client("web")
    await world.client("box", secret="cl_cs_box", grant_types=[GRANT], scopes=["threads:read"])
    assert (await start(world, scope="threads:destroy")).json()["error"] == "invalid_scope"
    assert (await start(world, resource="https://b.example.org")).json()["error"] == "invalid_target"
    assert (await start(world, client_id="web")).json()["error"] == "unauthorized_client"
    for refused in (
        await start(world, client_id="nobody"),
        await start(world, client_id="box"),
        await start(world, client_id="box", auth=("box", "cl_cs_wrong")),
    ):
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert (await start(world, client_id="box", auth=("box", "cl_cs_box"))).status_code == 200
    assert (await poll(world, None)).json()["error"] == "invalid_request"


async def test_a_resource_that_was_asked_for_stays(world: World, ann: UserRow):
    told = await begin(world, scope="threads:read", resource=f"{ISSUER}/mcp")
    await decide(world, told["user_code"], ann)
    assert await error(world, told["device_code"], resource=ISSUER) == "invalid_target"
    tokens = (await poll(world, told["device_code"])).json()
    assert claims_of(tokens["access_token"])["aud"] == f"{ISSUER}/mcp"


async def test_guessing_is_limited(world: World, ann: UserRow):
    told, session = await begin(world), session_of(world, ann)
    for _ in range(MOST_GUESSES):
        assert await devices(world).find("BBBB-BBBB", session, HERE) is None
    with pytest.raises(RateLimited):
        await devices(world).find(told["user_code"], session, HERE)
    with pytest.raises(RateLimited):
        await devices(world).decide(told["user_code"], session, approve=True, origin=HERE)
    elsewhere = Origin(address="192.0.2.2")
    assert await devices(world).find(told["user_code"], session, elsewhere) is not None
    world.time.tick(900)
    assert await devices(world).find("BBBB-BBBB", session, HERE) is None


@pytest.mark.usefixtures("ann")
async def test_only_so_many_devices_wait(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(device, "MOST_WAITING", 2)
    await begin(world)
    await begin(world)
    full = await start(world)
    assert (full.status_code, full.json()["error"]) == (503, "temporarily_unavailable")
    world.time.tick(600)
    for _ in range(MOST_DEVICES - 3):
        await start(world)
    hasty = await start(world)
    assert (hasty.status_code, hasty.json()["error"]) == (429, "temporarily_unavailable")


@pytest.mark.parametrize(
    "typed", ["", "BCDF", "BCDF-GHJKL", "BCDF-GHJ1", "ÀCDF-GHJK", "BCDF_GHJK", "\0" * 8, "B" * 999]
)
def test_what_is_no_code_is_not_looked_up(typed: str):
    assert plain(typed) == ""


def test_a_code_is_read_as_people_type_it():
    assert plain(" bcdf ghjk ") == plain("BCDF-GHJK") == plain("b-c-d-f-g-h-j-k") == "BCDFGHJK"
