"""People and roles for these tests."""

from __future__ import annotations

from datetime import UTC, datetime

from codelab.auth.rbac.cache import PermissionCache
from codelab.auth.rbac.service import Roles
from codelab.core import permissions
from codelab.core.types import Principal
from codelab.store.engine import Database
from codelab.store.models import UserRow

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
OWNER = Principal("cli", scopes=permissions.ALL)
"""Who sits at the machine: no person of the database, and holds everything."""


def user(user_id: str, tenant: str = "default", *, active: bool = True) -> UserRow:
    return UserRow(
        id=user_id,
        email=f"{user_id}@{tenant}.example",
        name=user_id,
        hashed_password="!",
        is_active=active,
        is_superuser=False,
        is_verified=True,
        created_at=NOON,
        owner_id=user_id,
        tenant_id=tenant,
    )


async def add(database: Database, roles: Roles, user_id: str, *names: str, tenant: str = "default") -> Principal:
    """Add a person with roles, who signed in; what they may do is what their roles say now."""
    async with database.transaction() as session:
        session.add(user(user_id, tenant))
        await session.flush()
        await session.run_sync(lambda s: roles.give(s, user_id, names, by="test"))
    return await signed_in(database, user_id, tenant)


async def signed_in(database: Database, user_id: str, tenant: str = "default") -> Principal:

    return Principal(user_id, tenant, scopes=await PermissionCache(database).of_user(user_id, tenant))
