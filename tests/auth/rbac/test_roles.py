"""Roles: who may make, change, give and take which. On both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select

from codelab.auth.audit.service import Audit
from codelab.auth.rbac.cache import PermissionCache
from codelab.auth.rbac.schemas import RoleChange, RoleOptions
from codelab.auth.rbac.service import MOST_ROLES, Roles
from codelab.auth.seams import Origin
from codelab.core.errors import CodeLabError, Conflict, Forbidden, InvalidInput, NotFound
from codelab.core.permissions import ALL, BUILT_IN
from codelab.core.types import Principal
from codelab.store.engine import Database
from codelab.store.models import RbacVersionRow, UserRow
from tests.support.role_holders import OWNER, add, signed_in

LOCKED = pytest.raises(Conflict, match="make another administrator first")


@pytest.fixture
def audit(database: Database) -> Audit:
    return Audit(database)


@pytest.fixture
async def roles(database: Database, audit: Audit) -> Roles:
    roles = Roles(database, audit=audit)
    await roles.ensure("default")
    return roles


def options(name: str = "ops", **more) -> RoleOptions:
    return RoleOptions(name=name, **more)


async def facts(audit: Audit, kind: str) -> list[tuple]:
    return [(fact.actor, fact.subject, fact.details) for fact in await audit.list(OWNER, type=kind)]


async def version(database: Database, tenant: str = "default") -> int:
    async with database.read() as session:
        return (
            await session.scalars(select(RbacVersionRow.version).where(RbacVersionRow.tenant_id == tenant))
        ).one_or_none() or 0


async def test_every_tenant_has_the_built_in_roles(roles: Roles, database: Database) -> None:
    await asyncio.gather(*(roles.ensure("acme") for _ in range(5)))
    found = {role.name: role for role in await roles.list(Principal("a", "acme"))}
    assert found.keys() == BUILT_IN.keys()
    assert set(found["admin"].effective) == ALL
    assert all(role.built_in for role in found.values())
    before = await version(database, "acme")
    await roles.ensure("acme")
    assert await version(database, "acme") == before
    assert await roles.list(Principal("a", "nobody")) == []


async def test_a_role_has_its_parents_permissions(roles: Roles) -> None:
    made = await roles.create(OWNER, options(permissions=["audit:read"], parents=["member"]))
    assert set(made.effective) > {"audit:read", "threads:write", "threads:read"}
    changed = await roles.update(OWNER, "ops", RoleChange(parents=["viewer"], description="reads"))
    assert (changed.parents, changed.permissions, changed.description) == (["viewer"], ["audit:read"], "reads")
    assert "threads:write" not in changed.effective
    assert (await roles.update(OWNER, "ops", RoleChange(permissions=[]))).description == "reads"
    await roles.delete(OWNER, "ops")
    assert "ops" not in {role.name for role in await roles.list(OWNER)}


async def test_a_cycle_is_refused(roles: Roles) -> None:  # attack 34
    for name, parents in (("a", []), ("b", ["a"]), ("c", ["b"])):
        await roles.create(OWNER, options(name, parents=parents))
    for parent in ("a", "b", "c"):
        with pytest.raises(Conflict) as caught:
            await roles.update(OWNER, "a", RoleChange(parents=[parent]))
        assert caught.value.code == "role_cycle"
    await roles.update(OWNER, "c", RoleChange(parents=["a"]))


async def test_two_that_would_close_a_cycle_together_do_not(roles: Roles) -> None:  # attack 34
    await roles.create(OWNER, options("a"))
    await roles.create(OWNER, options("b"))
    changes = [roles.update(OWNER, x, RoleChange(parents=[y])) for x, y in (("a", "b"), ("b", "a"))]
    done = await asyncio.gather(*changes, return_exceptions=True)
    assert [error.code for error in done if isinstance(error, CodeLabError)] == ["role_cycle"]


async def test_a_deep_chain_resolves(roles: Roles, database: Database) -> None:  # attack 34
    await roles.create(OWNER, options("r0", permissions=["audit:read"]))
    for depth in range(1, 55):
        made = await roles.create(OWNER, options(f"r{depth}", parents=[f"r{depth - 1}"]))
    assert made.effective == ["audit:read"]
    assert (await add(database, roles, "alice", "r54")).scopes == {"audit:read"}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (RoleChange(permissions=["runs:*"]), "unknown_permission"),
        (RoleChange(permissions=["openid"]), "unknown_permission"),
        (RoleChange(parents=["nobody"]), "unknown_role"),
    ],
)
async def test_what_is_not_there_is_refused(roles: Roles, change: RoleChange, code: str) -> None:
    await roles.create(OWNER, options())
    with pytest.raises(InvalidInput) as caught:
        await roles.update(OWNER, "ops", change)
    assert caught.value.code == code
    with pytest.raises(InvalidInput):
        await roles.create(OWNER, options("new", **change.model_dump(exclude_none=True)))


async def test_built_in_roles_stay_as_they_are(roles: Roles) -> None:
    with pytest.raises(Forbidden):
        await roles.update(OWNER, "viewer", RoleChange(permissions=["audit:read"]))
    with pytest.raises(Forbidden):
        await roles.delete(OWNER, "member")
    with pytest.raises(Conflict):
        await roles.create(OWNER, options("admin"))
    with pytest.raises(NotFound):
        await roles.delete(OWNER, "nobody")


async def test_nobody_gives_or_takes_what_they_do_not_hold(roles: Roles, database: Database, audit: Audit) -> None:
    await roles.create(OWNER, options("clerk", permissions=["roles:admin", "users:admin"], parents=["viewer"]))
    await roles.create(OWNER, options("strong", permissions=["llm:admin"]))
    clerk = await add(database, roles, "clerk", "clerk")
    await add(database, roles, "boss", "admin")
    await add(database, roles, "bob", "viewer")
    origin = Origin(address="192.0.2.1", correlation_id="c1")
    refused = [  # attack 35
        roles.create(clerk, options("x", permissions=["llm:admin"]), origin=origin),
        roles.create(clerk, options("x", parents=["strong"]), origin=origin),
        roles.update(clerk, "clerk", RoleChange(permissions=["llm:admin"]), origin=origin),
        roles.update(clerk, "strong", RoleChange(permissions=["roles:admin"]), origin=origin),
        roles.delete(clerk, "strong", origin=origin),
        roles.grant(clerk, "bob", "admin", origin=origin),
        roles.set_roles(clerk, "bob", ["strong"], origin=origin),
        roles.revoke(clerk, "boss", "admin", origin=origin),
        roles.check_may_grant(clerk, ["admin"], origin=origin),
    ]
    for attempt in refused:
        with pytest.raises(Forbidden):
            await attempt
    written = await audit.list(OWNER, type="auth.refused")
    assert {(fact.actor, fact.outcome, fact.address, fact.correlation_id) for fact in written} == {
        ("clerk", "denied", "192.0.2.1", "c1")
    }
    assert len(written) == len(refused)
    assert await roles.grant(clerk, "bob", "clerk", origin=origin) == ["clerk", "viewer"]
    assert await roles.revoke(clerk, "bob", "clerk", origin=origin) == ["viewer"]
    await roles.check_may_grant(clerk, ["viewer"])


async def test_a_credential_gives_no_more_than_it_carries(roles: Roles, database: Database) -> None:
    await add(database, roles, "bob")
    token = Principal("cli", client_id="c", scopes=frozenset({"roles:admin"}))
    with pytest.raises(Forbidden):
        await roles.grant(token, "bob", "viewer")


async def test_nobody_changes_their_own_roles(roles: Roles, database: Database, audit: Audit) -> None:  # attack 35
    alice = await add(database, roles, "alice", "admin")
    await add(database, roles, "other", "admin")
    for attempt in (
        roles.grant(alice, "alice", "viewer"),
        roles.revoke(alice, "alice", "admin"),
        roles.set_roles(alice, "alice", []),
    ):
        with pytest.raises(Forbidden, match="their own roles"):
            await attempt
    assert len(await facts(audit, "auth.refused")) == 3


async def test_who_was_demoted_a_moment_ago_gives_nothing_more(roles: Roles, database: Database) -> None:
    alice = await add(database, roles, "alice", "admin")
    await add(database, roles, "bob")
    await add(database, roles, "boss", "admin")
    await roles.revoke(OWNER, "alice", "admin")
    with pytest.raises(Forbidden):
        await roles.grant(alice, "bob", "admin")


async def test_another_tenants_people_are_strangers(roles: Roles, database: Database, audit: Audit) -> None:
    await roles.ensure("acme")
    alice = await add(database, roles, "alice", "admin")
    await add(database, roles, "bob", "viewer", tenant="acme")
    for user_id in ("bob", "nobody"):  # one answer: it does not tell which ids there are
        with pytest.raises(Forbidden, match="There is no such person"):
            await roles.grant(alice, user_id, "member")
    assert await roles.of_people(alice, ["bob"]) == {}
    assert [subject for _, subject, _ in await facts(audit, "auth.refused")] == ["user:nobody", "user:bob"]


async def test_the_last_admin_stays(roles: Roles, database: Database, audit: Audit) -> None:  # attack 35
    await add(database, roles, "alice", "admin")
    await add(database, roles, "asleep", "admin")
    async with database.transaction() as session:
        (await session.get_one(UserRow, "asleep")).is_active = False
    with LOCKED:
        await roles.revoke(OWNER, "alice", "admin")
    with LOCKED:
        await roles.set_roles(OWNER, "alice", ["member"])
    with LOCKED:
        await remove(database, roles, "alice")
    await remove(database, roles, "asleep")
    assert await facts(audit, "auth.refused") == [("cli", "user:alice", {"reason": "last_admin"})] * 2
    await add(database, roles, "bob", "admin")
    assert await roles.set_roles(OWNER, "alice", ["member"]) == ["member"]
    with LOCKED:
        await remove(database, roles, "bob")


async def test_an_admin_by_a_role_of_the_tenants_own_is_one_too(roles: Roles, database: Database) -> None:
    await roles.create(OWNER, options("root", parents=["admin"]))
    await add(database, roles, "alice", "root")
    for change in (roles.delete(OWNER, "root"), roles.update(OWNER, "root", RoleChange(parents=[]))):
        with LOCKED:
            await change
    await add(database, roles, "bob", "admin")
    await roles.update(OWNER, "root", RoleChange(parents=[]))


async def test_of_two_removed_at_once_one_admin_stays(roles: Roles, database: Database) -> None:  # attack 35
    names = [f"admin{number}" for number in range(6)]
    people = [await add(database, roles, name, "admin") for name in names]
    removals = [roles.revoke(OWNER, name, "admin") for name in names[:3]]
    removals += [remove(database, roles, name) for name in names[3:]]
    done = await asyncio.gather(*removals, return_exceptions=True)
    assert [error.code for error in done if isinstance(error, CodeLabError)] == ["last_admin"]
    assert sum([(await signed_in(database, person.user_id)).scopes == ALL for person in people]) == 1


async def test_two_admins_who_remove_each_other_do_not_both_go(roles: Roles, database: Database) -> None:
    one, other = await add(database, roles, "one", "admin"), await add(database, roles, "other", "admin")
    fight = (roles.revoke(one, "other", "admin"), roles.revoke(other, "one", "admin"))
    done = await asyncio.gather(*fight, return_exceptions=True)
    assert [type(error) for error in done if isinstance(error, CodeLabError)] == [Forbidden]


async def remove(database: Database, roles: Roles, user_id: str) -> None:
    """Disable somebody as accounts do."""
    async with database.transaction() as session:
        await session.run_sync(roles.check_not_last_admin, user_id)
        (await session.get_one(UserRow, user_id)).is_active = False


async def test_every_change_counts_and_is_written_down(roles: Roles, database: Database, audit: Audit) -> None:
    await add(database, roles, "bob")
    seen = [await version(database)]
    for change in (
        roles.create(OWNER, options()),
        roles.update(OWNER, "ops", RoleChange(permissions=["audit:read"])),
        roles.grant(OWNER, "bob", "ops"),
        roles.revoke(OWNER, "bob", "ops"),
        roles.delete(OWNER, "ops"),
    ):
        await change
        seen.append(await version(database))
    assert seen == sorted(set(seen))
    assert await facts(audit, "auth.role_changed") == [
        ("cli", "role:ops", {"deleted": True}),
        ("cli", "user:bob", {"given": [], "taken": ["ops"]}),
        ("cli", "user:bob", {"given": ["ops"], "taken": []}),
        ("cli", "role:ops", {"permissions": ["audit:read"], "parents": []}),
        ("cli", "role:ops", {"permissions": [], "parents": []}),
    ]


async def test_a_role_that_is_given_again_is_no_error(roles: Roles, database: Database) -> None:
    await add(database, roles, "bob", "viewer", "gone")
    done = await asyncio.gather(*(roles.grant(OWNER, "bob", "member") for _ in range(4)))
    assert set(map(tuple, done)) == {("member", "viewer")}
    assert await roles.of_people(OWNER, ["bob"]) == {"bob": ["member", "viewer"]}
    with pytest.raises(InvalidInput):
        await roles.grant(OWNER, "bob", "gone")


async def test_there_is_an_end_to_roles(roles: Roles) -> None:
    for number in range(MOST_ROLES - len(BUILT_IN)):
        await roles.create(OWNER, options(f"r{number}"))
    with pytest.raises(Conflict, match="delete one first"):
        await roles.create(OWNER, options("more"))


async def test_a_change_is_seen_here_at_once(database: Database, audit: Audit) -> None:
    cache = PermissionCache(database)
    roles = Roles(database, audit=audit, permissions=cache)
    await roles.ensure("default")
    await add(database, roles, "bob")
    assert await cache.of_user("bob", "default") == frozenset()
    await roles.grant(OWNER, "bob", "viewer")
    assert "threads:read" in await cache.of_user("bob", "default")
