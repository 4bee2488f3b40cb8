"""Rows of roles and of who has them. Functions over a session of a transaction, to be run through `run_sync`.

They select columns, never objects: what another transaction committed before the tenant was locked must not be hidden
by what this one read earlier.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import delete, func, insert, select, text
from sqlalchemy.orm import Session

from ...store.models import RoleParentRow, RoleRow, UserRoleRow, UserRow
from ...store.models.base import table_of
from .dag import RoleNode

_R: Final = table_of(RoleRow)
_P: Final = table_of(RoleParentRow)
_H: Final = table_of(UserRoleRow)
_U: Final = table_of(UserRow)
_ADVANCE: Final = text(
    "INSERT INTO rbac_versions (tenant_id, version, owner_id) VALUES (:tenant, 1, '') "
    "ON CONFLICT (tenant_id) DO UPDATE SET version = rbac_versions.version + 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRole:
    """A role as it is stored; its parents are named."""

    id: str
    name: str
    description: str
    node: RoleNode
    built_in: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    """What roles need to know of somebody."""

    id: str
    tenant_id: str
    is_active: bool


def advance(session: Session, tenant_id: str) -> None:
    """Count a change of a tenant's roles; until the transaction ends no other changes them."""
    session.execute(_ADVANCE, {"tenant": tenant_id})


def load_roles(session: Session, tenant_id: str) -> dict[str, StoredRole]:
    """Fetch a tenant's roles by their names, in their order."""
    rows = session.execute(select(_R).where(_R.c.tenant_id == tenant_id).order_by(_R.c.name)).all()
    names, above = {row.id: row.name for row in rows}, defaultdict[str, set[str]](set)
    pairs = select(_P.c.role_id, _P.c.parent_id).where(_P.c.tenant_id == tenant_id)
    for role_id, parent_id in session.execute(pairs):
        if parent_id in names:
            above[role_id].add(names[parent_id])
    return {
        row.name: StoredRole(
            id=row.id,
            name=row.name,
            description=row.description,
            node=RoleNode(permissions=frozenset(row.permissions), parents=frozenset(above[row.id])),
            built_in=row.built_in,
            created_at=row.created_at,
        )
        for row in rows
    }


def insert_role(session: Session, role: StoredRole, *, owner_id: str, tenant_id: str) -> None:
    """Insert a role without its parents."""
    values = {
        "id": role.id,
        "name": role.name,
        "description": role.description,
        "permissions": sorted(role.node.permissions),
        "built_in": role.built_in,
        "created_at": role.created_at,
    }
    session.execute(insert(_R).values(**values, owner_id=owner_id, tenant_id=tenant_id))


def change_role(session: Session, role_id: str, *, description: str, permissions: Iterable[str]) -> None:
    """Change what a role says of itself and what it permits."""
    changed = {"description": description, "permissions": sorted(permissions)}
    session.execute(_R.update().where(_R.c.id == role_id).values(**changed))


def put_parents(session: Session, role_id: str, parents: Collection[str], *, owner: tuple[str, str]) -> None:
    """Give a role these parents, by their ids, and no others; `owner` is a user and a tenant."""
    session.execute(delete(_P).where(_P.c.role_id == role_id))
    owner_id, tenant_id = owner
    rows = [{"role_id": role_id, "parent_id": p, "owner_id": owner_id, "tenant_id": tenant_id} for p in sorted(parents)]
    if rows:
        session.execute(insert(_P), rows)


def delete_role(session: Session, role_id: str) -> None:
    """Delete a role; nobody has it afterwards, and no role has it as a parent."""
    session.execute(delete(_R).where(_R.c.id == role_id))


def find_person(session: Session, user_id: str) -> Person | None:
    """Fetch somebody, of whatever tenant."""
    row = session.execute(select(_U.c.id, _U.c.tenant_id, _U.c.is_active).where(_U.c.id == user_id)).one_or_none()
    return None if row is None else Person(*row)


def roles_of(session: Session, person: Person) -> frozenset[str]:
    """Name the roles that somebody has."""
    query = select(_R.c.name).join(_H, _H.c.role_id == _R.c.id)
    return frozenset(session.scalars(query.where(_H.c.user_id == person.id, _R.c.tenant_id == person.tenant_id)))


def roles_of_many(session: Session, tenant_id: str, user_ids: Collection[str]) -> dict[str, list[str]]:
    """Name the roles of some people of a tenant."""
    query = select(_H.c.user_id, _R.c.name).join(_R, _R.c.id == _H.c.role_id).order_by(_R.c.name)
    found = defaultdict[str, list[str]](list)
    for user_id, name in session.execute(query.where(_R.c.tenant_id == tenant_id, _H.c.user_id.in_(user_ids))):
        found[user_id].append(name)
    return found


def give_role(session: Session, person: Person, role_id: str, *, by: str, at: datetime) -> None:
    """Give somebody a role that they do not have."""
    values = {"user_id": person.id, "role_id": role_id, "granted_by": by, "granted_at": at}
    session.execute(insert(_H).values(**values, owner_id=person.id, tenant_id=person.tenant_id))


def take_role(session: Session, person: Person, role_id: str) -> None:
    """Take a role from somebody."""
    session.execute(delete(_H).where(_H.c.user_id == person.id, _H.c.role_id == role_id))


def count_active(session: Session, tenant_id: str, roles: Collection[str], *, besides: str = "") -> int:
    """Count the active people of a tenant, but one, who have any of some roles, by their ids."""
    query = select(func.count(_U.c.id.distinct())).join(_H, _H.c.user_id == _U.c.id)
    where = (_U.c.tenant_id == tenant_id, _U.c.is_active, _H.c.role_id.in_(roles), _U.c.id != besides)
    return int(session.execute(query.where(*where)).scalar_one())
