"""The roles that every tenant has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from ...core.permissions import BUILT_IN
from ...core.types import new_id
from .dag import RoleNode
from .repository import StoredRole, change_role, insert_role, put_parents
from .tenant import TenantRoles


def are_built_in(roles: Mapping[str, StoredRole]) -> bool:
    """Whether a tenant's built-in roles are there, and say what they say today."""
    return all(
        name in roles
        and roles[name].built_in
        and roles[name].node == RoleNode(permissions=own, parents=frozenset(above))
        for name, (own, above) in BUILT_IN.items()
    )


def seed(session: Session, tenant_id: str, now: datetime) -> None:
    """Put a tenant's built-in roles in, or make them say what they say today."""
    tenant = TenantRoles(session, tenant_id)
    for name, (permissions, _) in BUILT_IN.items():
        if name in tenant.roles:
            change_role(session, tenant.roles[name].id, description="", permissions=permissions)
            continue
        node = RoleNode(permissions=permissions)
        role = StoredRole(id=new_id(), name=name, description="", node=node, built_in=True, created_at=now)
        insert_role(session, role, owner_id="", tenant_id=tenant_id)
    tenant.load()
    for name, (_, parents) in BUILT_IN.items():
        above = [tenant.roles[parent].id for parent in parents]
        put_parents(session, tenant.roles[name].id, above, owner=("", tenant_id))
