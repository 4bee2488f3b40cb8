"""A tenant's roles inside the transaction that changes them, and the rules that no change may break."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from ...core.errors import Conflict, Forbidden, InvalidInput, NotFound
from ...core.permissions import ALL, SESSION_ONLY
from ...core.types import Principal
from .dag import RoleNode, flatten
from .repository import (
    Person,
    StoredRole,
    advance,
    count_active,
    find_person,
    give_role,
    load_roles,
    roles_of,
    take_role,
)
from .schemas import Role

LAST_ADMIN: Final = "last_admin"
NOT_YOURS: Final = "There is no such person, or they are not yours to change."


class TenantRoles:
    """The roles of one tenant, which nobody else changes until the transaction ends.

    Args:
        session: The transaction.
        tenant_id: The tenant.
    """

    def __init__(self, session: Session, tenant_id: str) -> None:
        advance(session, tenant_id)
        self.session = session
        self.tenant_id = tenant_id
        self.load()
        self._had_admin = self._has_admin()

    def load(self) -> None:
        """Read the roles as they stand now."""
        self.roles: Mapping[str, StoredRole] = load_roles(self.session, self.tenant_id)
        self.nodes: dict[str, RoleNode] = {name: role.node for name, role in self.roles.items()}

    def role(self, name: str) -> StoredRole:
        """Find a role by its name; `NotFound` if there is none."""
        if name not in self.roles:
            raise NotFound(f"There is no role {name!r}.")
        return self.roles[name]

    def changeable(self, name: str) -> StoredRole:
        """Find a role that may be changed; `Forbidden` for one that is built in."""
        role = self.role(name)
        if role.built_in:
            raise Forbidden(f"{name!r} is built in: make a role of your own.", code="built_in_role")
        return role

    def known(self, names: Iterable[str]) -> frozenset[str]:
        """Check that roles are there; `InvalidInput` if one is not."""
        asked = frozenset(names)
        if unknown := asked - self.roles.keys():
            raise InvalidInput(f"There is no role {min(unknown)!r}.", code="unknown_role")
        return asked

    def person(self, user_id: str) -> Person:
        """Find somebody of this tenant; `Forbidden` for a stranger, be they of another tenant or of none."""
        person = find_person(self.session, user_id)
        if person is None or person.tenant_id != self.tenant_id:
            raise Forbidden(NOT_YOURS)
        return person

    def check_holds(self, principal: Principal, permissions: Iterable[str]) -> None:
        """Refuse whoever would give, change or take permissions that they do not hold themselves, here and now.

        What everybody may do with themselves counts for nothing here: tokens and keys never carry it.

        Raises:
            Forbidden: One is missing.
        """
        if missing := frozenset(permissions) - SESSION_ONLY - self._held(principal):
            raise Forbidden(f"You do not hold the permission {min(missing)}: you can neither give nor take it.")

    def give(self, person: Person, names: Iterable[str], *, by: str, at: datetime) -> frozenset[str]:
        """Give somebody roles; those that they did not have yet."""
        new = frozenset(names) - roles_of(self.session, person)
        for name in sorted(new):
            give_role(self.session, person, self.roles[name].id, by=by, at=at)
        return new

    def take(self, person: Person, names: Iterable[str]) -> frozenset[str]:
        """Take roles from somebody; those that they had."""
        gone = frozenset(names) & roles_of(self.session, person)
        for name in gone:
            take_role(self.session, person, self.roles[name].id)
        return gone

    def keep_an_admin(self) -> None:
        """Refuse a change that leaves nobody who may do everything, where there was somebody before.

        Raises:
            Conflict: It is one.
        """
        if self._had_admin and not self._has_admin():
            raise _last_admin()

    def keep_an_admin_besides(self, person: Person) -> None:
        """Refuse to do without somebody who is the last that may do everything.

        Raises:
            Conflict: They are.
        """
        if self._had_admin and not self._has_admin(besides=person.id):
            raise _last_admin()

    def _held(self, principal: Principal) -> frozenset[str]:
        """What somebody may give: what their credential carries, less what they lost since it was checked."""
        person = find_person(self.session, principal.user_id)
        if person is None:  # local mode's user, or a client that acts for itself
            return principal.scopes
        if not person.is_active or person.tenant_id != self.tenant_id:
            return frozenset()
        return principal.scopes & flatten(self.nodes, roles_of(self.session, person))

    def _has_admin(self, *, besides: str = "") -> bool:
        full = [role.id for name, role in self.roles.items() if flatten(self.nodes, [name]) == ALL]
        return count_active(self.session, self.tenant_id, full, besides=besides) > 0


def _last_admin() -> Conflict:
    return Conflict("Somebody must stay who may do everything: make another administrator first.", code=LAST_ADMIN)


def known_permissions(names: Iterable[str]) -> frozenset[str]:
    """Check that permissions are some; `InvalidInput` if one is not."""
    asked = frozenset(names)
    if unknown := asked - ALL:
        raise InvalidInput(f"There is no permission {min(unknown)!r}.", code="unknown_permission")
    return asked


def changed(node: RoleNode, permissions: frozenset[str] | None, parents: Iterable[str] | None) -> RoleNode:
    """Change of a role what is said; None: it stays."""
    return RoleNode(
        permissions=node.permissions if permissions is None else permissions,
        parents=node.parents if parents is None else frozenset(parents),
    )


def shown(roles: Mapping[str, StoredRole], name: str) -> Role:
    """Show a role with what it comes to."""
    role, nodes = roles[name], {key: each.node for key, each in roles.items()}
    return Role(
        name=name,
        description=role.description,
        permissions=sorted(role.node.permissions),
        parents=sorted(role.node.parents),
        effective=sorted(flatten(nodes, [name])),
        built_in=role.built_in,
        created_at=role.created_at,
    )
