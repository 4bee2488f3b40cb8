"""Who the machine's own folders belong to where people have accounts: the one who has administered it longest."""

from __future__ import annotations

from typing import Final

from sqlalchemy import select

from ..core.permissions import ALL
from ..core.types import Principal
from ..store.engine import Database
from ..store.models import RoleRow, UserRoleRow, UserRow

TENANT: Final = "default"
"""The tenant that every server has."""
_ADMIN: Final = "admin"


async def host_of(database: Database, tenant_id: str) -> Principal | None:
    """Name the oldest active administrator of a tenant; None where there is none yet."""
    query = (
        select(UserRow.id)
        .join(UserRoleRow, UserRoleRow.user_id == UserRow.id)
        .join(RoleRow, RoleRow.id == UserRoleRow.role_id)
        .where(RoleRow.name == _ADMIN, RoleRow.tenant_id == tenant_id, UserRow.is_active.is_(True))
        .order_by(UserRow.created_at, UserRow.id)
        .limit(1)
    )
    async with database.read() as session:
        found = (await session.scalars(query)).one_or_none()
    return None if found is None else Principal(found, tenant_id, scopes=ALL)
