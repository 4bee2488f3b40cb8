"""Whose rows: every query of a service is bound to its principal."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Protocol

from sqlalchemy import ColumnElement, and_, bindparam

from ..core import permissions
from ..core.types import Principal
from ..store.models.base import Owned


def mine(table: type[Owned], principal: Principal) -> ColumnElement[bool]:
    """Bind a query to the principal's own rows."""
    return and_(table.owner_id == principal.user_id, table.tenant_id == principal.tenant_id)


def mine_bound(table: type[Owned]) -> ColumnElement[bool]:
    """As `mine`, for a statement prepared once; `bound` gives its parameters."""
    return and_(table.owner_id == bindparam("owner"), table.tenant_id == bindparam("tenant"))


def bound(principal: Principal, **more: Any) -> dict[str, Any]:
    """The parameters of a statement with `mine_bound`."""
    return {"owner": principal.user_id, "tenant": principal.tenant_id, **more}


def owns(principal: Principal, row: Any) -> bool:
    """As `mine`, of a row that was read with its owner and tenant."""
    return (row.owner_id, row.tenant_id) == (principal.user_id, principal.tenant_id)


def owned_by(principal: Principal) -> dict[str, Any]:
    """Name the owner of a new row."""
    return {"owner_id": principal.user_id, "tenant_id": principal.tenant_id}


def owner_of(row: Owned) -> Principal:
    """Name the principal that a stored row acts for."""
    return Principal(user_id=row.owner_id, tenant_id=row.tenant_id)


class Scoped(Protocol):
    """A row that says what whoever made it was allowed to do; null: everything."""

    owner_id: Any
    tenant_id: Any
    scopes: Any


def actor_of(row: Scoped) -> Principal:
    """Name the principal that a stored row acts for, with what that was allowed to do when the row was made."""
    scopes = permissions.ALL if row.scopes is None else frozenset(row.scopes)
    return Principal(user_id=row.owner_id, tenant_id=row.tenant_id, scopes=scopes)


@lru_cache(maxsize=256)
def kept_scopes(scopes: frozenset[str]) -> list[str] | None:
    """What a row keeps of a principal's scopes: nothing where they are all; the list is shared, nobody changes it."""
    return None if scopes >= permissions.ALL else sorted(scopes)
