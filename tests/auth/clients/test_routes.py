"""/api/v1/clients: for administrators of a tenant; who is not one is refused, and it is written down."""

from __future__ import annotations

import pytest
from fastapi import Request

from codelab.auth.clients.service import Clients
from codelab.core.permissions import ALL, GRANTABLE
from codelab.core.types import Principal
from codelab.server.rest import clients as routes
from codelab.store.engine import Database
from codelab.store.models import AuditRow, OAuthClientRow
from tests.support.identity import World, open_world

ADMIN = Principal("alice", scopes=ALL)
ELSEWHERE = Principal("eve", "acme", scopes=ALL)
MEMBER = Principal("mallory", scopes=GRANTABLE - {"clients:admin"})
WEAK = Principal("bob", scopes=frozenset({"clients:admin"}))
ROBOT = {"name": "robot", "auth_method": "client_secret_basic", "grant_types": ["client_credentials"]}
PATH = "/clients"


@pytest.fixture
async def world(sqlite_url: str):
    database = Database(sqlite_url)
    async with open_world(database, routes.router) as world:
        identity = world.identity
        identity.clients = Clients(database, revocations=identity.revocations, audit=identity.audit, now=world.time)
        world.app.state.principal = ADMIN

        @world.app.middleware("http")
        async def somebody(request: Request, go_on):
            request.state.principal = request.app.state.principal
            return await go_on(request)

        yield world
    await database.close()


def be(world: World, principal: Principal | None) -> None:
    world.app.state.principal = principal


async def made(world: World, **more) -> dict:
    response = await world.http.post(PATH, json={**ROBOT, **more})
    assert response.status_code == 201, response.text
    return response.json()


async def test_a_client_lives(world: World):
    told = await made(world, scopes=["threads:read"])
    one = f"{PATH}/{told['id']}"
    secret = told.pop("client_secret")
    assert secret.startswith("cl_cs_")
    assert (await world.http.get(one)).json() == told
    changed = await world.http.patch(one, json={"name": "automaton"})
    assert (changed.status_code, changed.json()) == (200, {**told, "name": "automaton"})
    rotated = (await world.http.post(f"{one}/rotate-secret", json={"grace_hours": 0})).json()
    assert rotated["client_secret"] not in {None, secret}
    assert (await world.http.post(f"{one}/disable")).json()["disabled_at"] is not None
    assert (await world.http.post(f"{one}/enable")).json()["disabled_at"] is None
    assert (await world.http.delete(one)).status_code == 204
    assert (await world.http.get(one)).status_code == 403
    facts = [row for row in await world.rows(AuditRow) if row.type == "auth.client_changed"]
    actions = ["create", "update", "rotate_secret", "disable", "enable", "delete"]
    assert [row.details["action"] for row in sorted(facts, key=lambda row: row.id)] == actions
    assert {row.address for row in facts} == {"127.0.0.1"}


async def test_pages_lead_on(world: World):
    ids = []
    for _ in range(5):
        ids.append((await made(world))["id"])
        world.time.tick(1)
    seen, cursor = [], None
    while True:
        page = (await world.http.get(PATH, params={"limit": 2, **({"cursor": cursor} if cursor else {})})).json()
        seen += [item["id"] for item in page["items"]]
        if (cursor := page["next_cursor"]) is None:
            break
    assert seen == ids[::-1]
    assert "client_secret" not in page["items"][0]
    assert (await world.http.get(PATH, params={"cursor": "nonsense"})).status_code == 422
    assert (await world.http.get(PATH, params={"limit": 201})).status_code == 422


REQUESTS = (
    ("GET", "", None),
    ("PATCH", "", {"name": "mine"}),
    ("POST", "/rotate-secret", {}),
    ("POST", "/disable", None),
    ("POST", "/enable", None),
    ("DELETE", "", None),
)


@pytest.mark.parametrize(("method", "last", "body"), REQUESTS, ids=range(6))
@pytest.mark.parametrize("who", [ELSEWHERE, MEMBER, None], ids=["elsewhere", "member", "nobody"])
async def test_who_may_not_is_refused(world: World, who: Principal | None, method: str, last: str, body):  # attack 35
    client_id = (await made(world))["id"]
    be(world, who)
    response = await world.http.request(method, f"{PATH}/{client_id}{last}", json=body)
    assert response.status_code == (401 if who is None else 403)
    unknown = await world.http.request(method, f"{PATH}/no-such-client{last}", json=body)
    assert (unknown.status_code, unknown.json()) == (response.status_code, response.json())
    (row,) = await world.rows(OAuthClientRow)
    assert (row.name, row.disabled_at, row.old_secret_digest) == ("robot", None, None)
    refused = [row for row in await world.rows(AuditRow) if row.type == "auth.refused"]
    assert len(refused) == (0 if who is None else 2)


@pytest.mark.parametrize("who", [MEMBER, None], ids=["member", "nobody"])
async def test_who_may_not_makes_and_sees_none(world: World, who: Principal | None):
    await made(world)
    be(world, who)
    status = 401 if who is None else 403
    assert (await world.http.post(PATH, json=ROBOT)).status_code == status
    assert (await world.http.get(PATH)).status_code == status
    be(world, ELSEWHERE)
    assert (await world.http.get(PATH)).json() == {"items": [], "next_cursor": None}


async def test_nobody_gives_what_they_do_not_hold(world: World):  # attack 35
    be(world, WEAK)
    response = await world.http.post(PATH, json={**ROBOT, "scopes": ["users:admin"]})
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")
    assert await world.rows(OAuthClientRow) == []


@pytest.mark.parametrize(
    "wrong",
    [{"tenant_id": "acme"}, {"dynamic": False}, {"redirect_uris": ["javascript:alert(1)"]}, {"scopes": "x" * 9}],
    ids=range(4),
)
async def test_what_is_no_client_is_refused(world: World, wrong: dict):
    assert (await world.http.post(PATH, json={**ROBOT, **wrong})).status_code == 422
