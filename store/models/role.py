"""Roles: what people may do."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, Owned
from .user import user_key


def _role_key() -> Mapped[str]:
    return mapped_column(ForeignKey("roles.id", ondelete="CASCADE"), primary_key=True)


class RoleRow(Owned, Base):
    """A role of one tenant with its own permissions; its parents' come on top. A built-in one stays as it is."""

    __tablename__ = "roles"
    __table_args__ = (UniqueConstraint("tenant_id", "name"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str]
    permissions: Mapped[list[Any]]
    built_in: Mapped[bool]
    created_at: Mapped[datetime]


class RoleParentRow(Owned, Base):
    """A role has the permissions of its parent too; the whole is free of cycles."""

    __tablename__ = "role_parents"

    role_id: Mapped[str] = _role_key()
    parent_id: Mapped[str] = _role_key()


class UserRoleRow(Owned, Base):
    """A person has a role; `owner_id` is the person's id."""

    __tablename__ = "user_roles"

    user_id: Mapped[str] = user_key(primary_key=True)
    role_id: Mapped[str] = _role_key()
    granted_by: Mapped[str]
    granted_at: Mapped[datetime]


class RbacVersionRow(Owned, Base):
    """Counts a tenant's changes of roles and of who has them: what was flattened for another number is stale."""

    __tablename__ = "rbac_versions"

    tenant_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
