"""Administration over HTTP: who may do what to whom, and that each refusal is written down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from codelab.auth.rbac.cache import PermissionCache
from codelab.core.types import Principal
from codelab.server import errors
from codelab.server.rest import audit, roles, users
from codelab.store.engine import Database
from codelab.store.models import UserRow
from tests.support.people import People, open_people
from tests.support.role_holders import add

BOSS = {"x-user": "boss"}
FOREIGN = {"x-user": "foreign"}
CLERK = {"name": "clerk", "permissions": ["users:admin"], "parents": ["member"]}


class Door:
    """Whoever `x-user` names has come in, with what their roles say now."""

    def __init__(self, app: Any, database: Database) -> None:
        self._app = app
        self._database = database

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            user_id = dict(scope["headers"]).get(b"x-user", b"").decode()
            async with self._database.read() as session:
                row = await session.get(UserRow, user_id)
            if row is not None:
                held = await PermissionCache(self._database).of_user(user_id, row.tenant_id)
                scope.setdefault("state", {})["principal"] = Principal(user_id, row.tenant_id, scopes=held)
        await self._app(scope, receive, send)


@pytest.fixture
async def world(sqlite_url: str) -> AsyncIterator[People]:
    """Two tenants, each with an administrator and somebody to be administered."""
    database = Database(sqlite_url)
    async with open_people(database) as people:
        await people.roles.ensure("acme")
        await add(database, people.roles, "boss", "admin")
        await add(database, people.roles, "bob", "member")
        await add(database, people.roles, "foreign", "admin", tenant="acme")
        await add(database, people.roles, "carl", "member", tenant="acme")
        yield people
    await database.close()


@pytest.fixture
async def http(world: People) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    errors.install(app)
    for part in (users, roles, audit):
        app.include_router(part.router, prefix="/api/v1")
    permissions = PermissionCache(world.database)
    app.state.identity = SimpleNamespace(
        roles=world.roles, audit=world.audit, accounts=world.accounts, permissions=permissions
    )
    transport = httpx.ASGITransport(app=Door(app, world.database))
    async with httpx.AsyncClient(transport=transport, base_url="http://test/api/v1") as client:
        yield client


async def refusals(http: httpx.AsyncClient, who: dict[str, str] = BOSS) -> list[tuple[str, str, str]]:
    found = (await http.get("/audit", params={"type": "auth.refused", "limit": 200}, headers=who)).json()["items"]
    return [(fact["actor"], fact["subject"], fact["details"]["reason"]) for fact in reversed(found)]


ON_SOMEBODY = [
    ("GET", "/users/{}", None),
    ("POST", "/users/{}/disable", None),
    ("POST", "/users/{}/enable", None),
    ("POST", "/users/{}/reset-link", None),
    ("DELETE", "/users/{}", None),
    ("PUT", "/users/{}/roles", {"roles": ["admin"]}),
]
OTHERS = [
    ("GET", "/users", None),
    ("POST", "/users", {"email": "new@example.org"}),
    ("GET", "/users/invites", None),
    ("POST", "/users/invites", {}),
    ("DELETE", "/users/invites/x", None),
    ("GET", "/roles", None),
    ("POST", "/roles", {"name": "ops"}),
    ("GET", "/roles/admin", None),
    ("PATCH", "/roles/member", {}),
    ("DELETE", "/roles/member", None),
    ("GET", "/audit", None),
]


async def test_who_is_no_administrator_is_refused_and_that_written_down(
    http: httpx.AsyncClient, world: People
) -> None:  # attack 35
    routes = [*ON_SOMEBODY, *OTHERS]
    for method, path, body in routes:
        for target in ("bob", "boss"):
            answer = await http.request(method, path.format(target), json=body, headers={"x-user": "bob"})
            assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope"), path
            assert "insufficient_scope" in answer.headers["www-authenticate"]
    found = await refusals(http)
    assert {(actor, reason) for actor, _, reason in found} == {("bob", "insufficient_scope")}
    assert len(found) == 2 * len(routes)
    assert await people_as_they_were(world)


async def people_as_they_were(world: People) -> bool:
    found = await world.roles.of_people(Principal("x"), ["boss", "bob"])
    rows = {row.id for row in await world.rows(UserRow) if row.is_active}
    return dict(found) == {"boss": ["admin"], "bob": ["member"]} and rows == {"boss", "bob", "foreign", "carl"}


async def test_nobody_gets_nothing(http: httpx.AsyncClient) -> None:
    for method, path, body in [*ON_SOMEBODY, *OTHERS]:
        assert (await http.request(method, path.format("bob"), json=body)).status_code == 401


async def test_another_tenants_people_are_refused_as_whoever_is_not_there(
    http: httpx.AsyncClient, world: People
) -> None:  # attack 35
    for method, path, body in ON_SOMEBODY:
        one, other = [
            await http.request(method, path.format(target), json=body, headers=FOREIGN) for target in ("bob", "no-such")
        ]
        assert (one.status_code, one.json()) == (403, other.json()), path
    told = [row[:2] for row in await refusals(http, FOREIGN)]
    assert told == [("foreign", "user:bob"), ("foreign", "user:no-such")] * len(ON_SOMEBODY)
    assert await refusals(http) == []
    assert await people_as_they_were(world)


async def test_a_tenant_sees_nothing_of_another(http: httpx.AsyncClient) -> None:
    await http.post("/roles", json={"name": "ours", "permissions": ["audit:read"]}, headers=BOSS)
    await http.post("/users/invites", json={"email": "new@example.org"}, headers=BOSS)
    seen = await http.get("/users", headers=FOREIGN)
    assert {user["id"] for user in seen.json()["items"]} == {"foreign", "carl"}
    assert "ours" not in {role["name"] for role in (await http.get("/roles", headers=FOREIGN)).json()}
    assert (await http.get("/roles/ours", headers=FOREIGN)).status_code == 404
    assert (await http.get("/users/invites", headers=FOREIGN)).json() == []
    assert (await http.get("/audit", headers=FOREIGN)).json()["items"] == []
    (invite,) = (await http.get("/users/invites", headers=BOSS)).json()
    assert (await http.delete(f"/users/invites/{invite['id']}", headers=FOREIGN)).status_code == 404
    assert (await http.delete(f"/users/invites/{invite['id']}", headers=BOSS)).status_code == 204


async def test_nobody_changes_their_own_roles(http: httpx.AsyncClient) -> None:  # attack 35
    answer = await http.put("/users/boss/roles", json={"roles": ["admin", "member"]}, headers=BOSS)
    assert (answer.status_code, answer.json()["code"]) == (403, "own_roles")
    assert await refusals(http) == [("boss", "user:boss", "own_roles")]


async def test_who_administers_people_alone_gives_no_roles_and_nothing_above_their_own(
    http: httpx.AsyncClient, world: People
) -> None:  # attack 35
    await http.post(
        "/roles", json={"name": "clerk", "permissions": ["users:admin"], "parents": ["member"]}, headers=BOSS
    )
    await add(world.database, world.roles, "clerk", "clerk")
    clerk = {"x-user": "clerk"}
    for method, path, body in (
        ("PUT", "/users/bob/roles", {"roles": ["admin"]}),
        ("POST", "/users", {"email": "new@example.org", "roles": ["admin"]}),
        ("POST", "/users/invites", {"roles": ["admin"]}),
        ("POST", "/users/boss/disable", None),
        ("POST", "/users/boss/reset-link", None),
        ("DELETE", "/users/boss", None),
    ):
        answer = await http.request(method, path, json=body, headers=clerk)
        assert answer.status_code == 403, path
    assert {actor for actor, *_ in await refusals(http)} == {"clerk"}
    made = await http.post("/users", json={"email": "New@Example.org", "name": "New"}, headers=clerk)
    assert (made.status_code, made.json()["roles"], made.json()["email"]) == (201, ["member"], "new@example.org")
    assert made.json()["link"].startswith("http")


async def test_the_last_administrator_stays(http: httpx.AsyncClient, world: People) -> None:  # attack 35
    await add(world.database, world.roles, "second", "admin")
    second = {"x-user": "second"}
    assert (await http.put("/users/second/roles", json={"roles": []}, headers=BOSS)).status_code == 200
    await http.put("/users/second/roles", json={"roles": ["admin"]}, headers=BOSS)
    assert (await http.post("/users/boss/disable", headers=second)).status_code == 200
    assert (await http.get("/users", headers=BOSS)).status_code == 403
    await http.post("/users/boss/enable", headers=second)
    assert (await http.delete("/users/second", headers=BOSS)).status_code == 204
    for method, path, body in (("POST", "/users/boss/disable", None), ("DELETE", "/users/boss", None)):
        answer = await http.request(method, path, json=body, headers=BOSS)
        assert (answer.status_code, answer.json()["code"]) == (403, "own_account")


async def test_roles_over_http(http: httpx.AsyncClient) -> None:  # attack 34
    for name, parents in (("a", []), ("b", ["a"])):
        assert (await http.post("/roles", json={"name": name, "parents": parents}, headers=BOSS)).status_code == 201
    answer = await http.patch("/roles/a", json={"parents": ["b"]}, headers=BOSS)
    assert (answer.status_code, answer.json()["code"]) == (409, "role_cycle")
    await http.patch("/roles/a", json={"permissions": ["audit:read"]}, headers=BOSS)
    await http.put("/users/bob/roles", json={"roles": ["b"]}, headers=BOSS)
    assert (await http.get("/roles/b", headers=BOSS)).json()["effective"] == ["audit:read"]
    assert (await http.get("/audit", headers={"x-user": "bob"})).status_code == 200
    await http.patch("/roles/b", json={"parents": []}, headers=BOSS)
    assert (await http.get("/audit", headers={"x-user": "bob"})).status_code == 403
    for body in ({"name": "A"}, {"name": "x", "permissions": ["all"]}, {"name": "x", "owner": "me"}):
        assert (await http.post("/roles", json=body, headers=BOSS)).status_code == 422


async def test_people_are_listed_page_by_page_and_their_hashes_never(http: httpx.AsyncClient, world: People) -> None:
    for number in range(3):
        await add(world.database, world.roles, f"u{number}", "viewer")
    seen, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = await http.get("/users", params=params, headers=BOSS)
        assert "password" not in page.text.replace("password_changed_at", "")
        seen += [(user["id"], user["roles"]) for user in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert sorted(seen) == [
        ("bob", ["member"]),
        ("boss", ["admin"]),
        *[(f"u{number}", ["viewer"]) for number in range(3)],
    ]


async def test_the_audit_trail_is_read_page_by_page(http: httpx.AsyncClient) -> None:
    for number in range(5):
        await http.post("/roles", json={"name": f"r{number}"}, headers=BOSS)
    seen, cursor = [], None
    while True:
        params = {"limit": 2, "type": "auth.role_changed"} | ({"cursor": cursor} if cursor else {})
        page = (await http.get("/audit", params=params, headers=BOSS)).json()
        seen += [fact["subject"] for fact in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == [f"role:r{number}" for number in reversed(range(5))]
    for params in ({"since": "yesterday"}, {"since": "2026-01-01T00:00:00"}, {"limit": 0}, {"cursor": "x"}):
        assert (await http.get("/audit", params=params, headers=BOSS)).status_code == 422, params
