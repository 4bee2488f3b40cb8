"""What everybody may do, as the door remembers it. On both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event, text

from codelab.auth.audit.service import Audit
from codelab.auth.rbac import cache as module
from codelab.auth.rbac.cache import FRESH_S, PermissionCache
from codelab.auth.rbac.schemas import RoleChange, RoleOptions
from codelab.auth.rbac.service import Roles
from codelab.core.errors import Unavailable
from codelab.core.permissions import ALL
from codelab.store.engine import Database
from codelab.store.models import RoleParentRow, UserRoleRow, UserRow
from tests.support.role_holders import NOON, OWNER, add


class Clock:
    """Seconds that tests count."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Statements:
    """Counts what a database is asked."""

    def __init__(self, database: Database) -> None:
        self.seen: list[str] = []
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, _connection, _cursor, statement: str, *_) -> None:
        self.seen.append(statement)

    def since(self) -> int:
        """How many there were since the last time."""
        seen, self.seen = self.seen, []
        return len(seen)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(database: Database, clock: Clock) -> PermissionCache:
    return PermissionCache(database, clock=clock)


@pytest.fixture
async def roles(database: Database) -> Roles:
    """Of another process: nothing is told to `cache`."""
    roles = Roles(database, audit=Audit(database))
    await roles.ensure("default")
    return roles


async def test_a_person_holds_what_their_roles_and_those_above_hold(
    database: Database, roles: Roles, cache: PermissionCache
) -> None:
    await roles.create(OWNER, RoleOptions(name="auditor", permissions=["audit:read"]))
    await add(database, roles, "alice", "viewer", "auditor")
    held = await cache.of_user("alice", "default")
    assert {"audit:read", "threads:read", "account:write"} <= held
    assert not {"threads:write", "users:admin"} & held
    async with database.read() as session:
        assert await session.run_sync(cache.read, "alice") == held


async def test_who_is_not_there_not_active_or_not_of_the_tenant_holds_nothing(
    database: Database, roles: Roles, cache: PermissionCache
) -> None:
    await add(database, roles, "alice", "admin")
    await add(database, roles, "bob", "admin")
    async with database.transaction() as session:
        (await session.get_one(UserRow, "bob")).is_active = False
    assert await cache.of_user("alice", "default") == ALL
    for user_id, tenant in (("bob", "default"), ("nobody", "default"), ("alice", "acme")):
        assert await cache.of_user(user_id, tenant) == frozenset()
    async with database.read() as session:
        assert await session.run_sync(cache.read, "bob") == frozenset()
        assert await session.run_sync(cache.read, "nobody") == frozenset()


async def test_rows_that_no_service_would_write_grant_nothing_foreign_and_end(
    database: Database, roles: Roles, cache: PermissionCache
) -> None:
    """A cycle ends; a permission that is none, and a role of another tenant, grant nothing."""  # attack 34
    await roles.create(OWNER, RoleOptions(name="a"))
    await roles.create(OWNER, RoleOptions(name="b", parents=["a"]))
    await roles.ensure("acme")
    await add(database, roles, "alice", "b")
    async with database.transaction() as session:
        ids = dict((await session.execute(text("SELECT tenant_id || name, id FROM roles"))).all())
        a, b, foreign = ids["defaulta"], ids["defaultb"], ids["acmeadmin"]
        session.add(RoleParentRow(role_id=a, parent_id=b, owner_id="", tenant_id="default"))
        session.add(RoleParentRow(role_id=a, parent_id=foreign, owner_id="", tenant_id="default"))
        owned = {"owner_id": "alice", "tenant_id": "acme"}
        session.add(UserRoleRow(user_id="alice", role_id=foreign, granted_by="x", granted_at=NOON, **owned))
        await session.execute(text("""UPDATE roles SET permissions = '["*","audit:read"]' WHERE name = 'a'"""))
    assert await cache.of_user("alice", "default") == {"audit:read"}


async def test_what_is_remembered_asks_nobody_and_is_looked_at_again_in_time(
    database: Database, roles: Roles, cache: PermissionCache, clock: Clock
) -> None:
    await add(database, roles, "alice", "viewer")
    statements = Statements(database)
    await cache.of_user("alice", "default")
    assert statements.since() == 2
    clock.seconds += FRESH_S * 0.9
    await cache.of_user("alice", "default")
    assert statements.since() == 0
    clock.seconds += FRESH_S * 0.1
    await cache.of_user("alice", "default")
    assert statements.since() == 1  # nothing changed: one look at the version


@pytest.mark.parametrize("change", ["take", "parent", "disable", "delete"])
async def test_what_another_process_changed_holds_within_seconds(  # attack 34
    database: Database, roles: Roles, cache: PermissionCache, clock: Clock, change: str
) -> None:
    await roles.create(OWNER, RoleOptions(name="ops", parents=["member"]))
    await add(database, roles, "alice", "ops")
    assert "threads:write" in await cache.of_user("alice", "default")
    if change == "take":
        await roles.revoke(OWNER, "alice", "ops")
    elif change == "parent":
        await roles.update(OWNER, "ops", RoleChange(parents=[]))
    else:
        async with database.transaction() as session:
            row = await session.get_one(UserRow, "alice")
            row.is_active = False
            if change == "delete":
                await session.delete(row)
    clock.seconds += FRESH_S
    assert await cache.of_user("alice", "default") == frozenset()


async def test_who_comes_back_holds_their_roles_again(
    database: Database, roles: Roles, cache: PermissionCache, clock: Clock
) -> None:
    await add(database, roles, "alice", "viewer")
    for active in (False, True):
        async with database.transaction() as session:
            (await session.get_one(UserRow, "alice")).is_active = active
        clock.seconds += FRESH_S
        assert bool(await cache.of_user("alice", "default")) is active


async def test_many_who_ask_at_once_make_one_look(
    database: Database, roles: Roles, cache: PermissionCache, clock: Clock
) -> None:
    await add(database, roles, "alice", "viewer")
    statements = Statements(database)
    for _ in range(2):
        asked = [asyncio.create_task(cache.of_user("alice", "default")) for _ in range(50)]
        await asyncio.sleep(0)
        asked[0].cancel()  # the first to ask hangs up
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert len([held for held in found if isinstance(held, frozenset) and held]) == 49
        clock.seconds += FRESH_S
    assert statements.since() == 3


async def test_who_asks_after_a_change_is_not_told_what_was_read_before(
    database: Database, roles: Roles, cache: PermissionCache
) -> None:
    await add(database, roles, "alice", "viewer")
    before = asyncio.create_task(cache.of_user("alice", "default"))
    await asyncio.sleep(0)  # it is under way
    await roles.revoke(OWNER, "alice", "viewer")
    cache.forget("default")
    after = await cache.of_user("alice", "default")
    await before
    assert after == await cache.of_user("alice", "default") == frozenset()


async def test_a_change_in_one_tenant_leaves_the_others_alone(
    database: Database, roles: Roles, cache: PermissionCache
) -> None:
    await roles.ensure("acme")
    await add(database, roles, "alice", "viewer")
    await add(database, roles, "bob", "viewer", tenant="acme")
    await cache.of_user("alice", "default")
    await cache.of_user("bob", "acme")
    cache.forget("acme")
    statements = Statements(database)
    await cache.of_user("alice", "default")
    assert statements.since() == 0
    await cache.of_user("bob", "acme")
    assert statements.since() == 2


async def test_what_is_remembered_is_bounded(
    database: Database, roles: Roles, cache: PermissionCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    for number in range(10):
        await add(database, roles, f"u{number}", "viewer")
        await cache.of_user(f"u{number}", "default")
    statements = Statements(database)
    await cache.of_user("u9", "default")
    assert statements.since() == 0
    await cache.of_user("u0", "default")
    assert statements.since() == 2
    assert len(cache._known) == 3


async def test_a_database_that_cannot_tell_lets_nobody_do_anything() -> None:
    database = Database("sqlite://")  # without tables
    with pytest.raises(Unavailable):
        await PermissionCache(database).of_user("alice", "default")
    await database.close()
