"""Roles: made, changed, given and taken by who holds what they hold."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from sqlalchemy.orm import Session

from ...core.errors import Conflict, Forbidden, InvalidInput, NotFound
from ...core.types import Principal, new_id, utc_now
from ...store.engine import Database
from ..seams import AuditEntry, AuditTrail, Origin
from . import repository
from .built_in import are_built_in, seed
from .dag import RoleNode, closes_cycle, flatten
from .repository import StoredRole, find_person
from .schemas import Role, RoleChange, RoleOptions
from .tenant import LAST_ADMIN, TenantRoles, changed, known_permissions, shown

MOST_ROLES: Final = 200
"""Roles of one tenant."""
NOWHERE: Final = Origin()
Result = TypeVar("Result")


class Remembered(Protocol):
    """What remembers flattened permissions; see `cache.PermissionCache`."""

    def forget(self, tenant_id: str) -> None:
        """Let go of a tenant's."""
        ...


class Roles:
    """The roles of every tenant, and who has them.

    Args:
        database: Where the rows are.
        audit: Told of each change, and of each refusal.
        permissions: Forgets what a change made stale, at once.
        now: The time of day.
    """

    def __init__(
        self,
        database: Database,
        *,
        audit: AuditTrail,
        permissions: Remembered | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._audit = audit
        self._permissions = permissions
        self._now = now

    async def ensure(self, tenant_id: str) -> None:
        """Give a tenant the built-in roles as they are today. Again is no error, nor is it at the same time."""
        async with self._database.read() as session:
            roles = await session.run_sync(repository.load_roles, tenant_id)
        if not are_built_in(roles):
            async with self._database.transaction() as writing:
                await writing.run_sync(seed, tenant_id, self._now())
            self.forget(tenant_id)

    async def list(self, principal: Principal) -> Sequence[Role]:
        """List the roles of the principal's tenant by name."""
        async with self._database.read() as session:
            roles = await session.run_sync(repository.load_roles, principal.tenant_id)
        return [shown(roles, name) for name in roles]

    async def get(self, principal: Principal, name: str) -> Role:
        """Look at one; `NotFound` if the principal's tenant has none of this name."""
        for role in await self.list(principal):
            if role.name == name:
                return role
        raise NotFound(f"There is no role {name!r}.")

    async def create(self, principal: Principal, options: RoleOptions, *, origin: Origin = NOWHERE) -> Role:
        """Make a role.

        Raises:
            InvalidInput: A permission or a parent is none.
            Forbidden: It would hold what the principal does not.
            Conflict: The name is taken, or there are too many.
        """
        node = RoleNode(permissions=known_permissions(options.permissions), parents=frozenset(options.parents))

        def work(session: Session) -> Role:
            tenant = TenantRoles(session, principal.tenant_id)
            if options.name in tenant.roles:
                raise Conflict(f"There is a role {options.name!r} already.", code="role_exists")
            if len(tenant.roles) >= MOST_ROLES:
                raise Conflict(f"There are {MOST_ROLES} roles: delete one first.", code="too_many_roles")
            tenant.known(node.parents)
            tenant.check_holds(principal, flatten({**tenant.nodes, options.name: node}, [options.name]))
            said, now = options.description, self._now()
            role = StoredRole(
                id=new_id(), name=options.name, description=said, node=node, built_in=False, created_at=now
            )
            repository.insert_role(session, role, owner_id=principal.user_id, tenant_id=principal.tenant_id)
            return self._put(tenant, principal, role, node, origin)

        return await self._change(principal, f"role:{options.name}", origin, work)

    async def update(self, principal: Principal, name: str, change: RoleChange, *, origin: Origin = NOWHERE) -> Role:
        """Change a role, for everybody who has it.

        Raises:
            NotFound: There is none of this name.
            InvalidInput: A permission or a parent is none.
            Forbidden: It holds, or would hold, what the principal does not; or it is built in.
            Conflict: It would be above itself (`role_cycle`), or nobody would be left who may do everything.
        """
        permissions = None if change.permissions is None else known_permissions(change.permissions)

        def work(session: Session) -> Role:
            tenant = TenantRoles(session, principal.tenant_id)
            role = tenant.changeable(name)
            node = changed(role.node, permissions, change.parents)
            tenant.known(node.parents)
            if closes_cycle(tenant.nodes, name, node.parents):
                raise Conflict(f"{name!r} would be above itself: choose other parents.", code="role_cycle")
            before, after = flatten(tenant.nodes, [name]), flatten({**tenant.nodes, name: node}, [name])
            tenant.check_holds(principal, before | after)
            said = role.description if change.description is None else change.description
            repository.change_role(session, role.id, description=said, permissions=node.permissions)
            return self._put(tenant, principal, role, node, origin)

        return await self._change(principal, f"role:{name}", origin, work)

    async def delete(self, principal: Principal, name: str, *, origin: Origin = NOWHERE) -> None:
        """Delete a role; nobody has it afterwards.

        Raises:
            NotFound: There is none of this name.
            Forbidden: It holds what the principal does not, or it is built in.
            Conflict: Nobody would be left who may do everything.
        """

        def work(session: Session) -> None:
            tenant = TenantRoles(session, principal.tenant_id)
            role = tenant.changeable(name)
            tenant.check_holds(principal, flatten(tenant.nodes, [name]))
            repository.delete_role(session, role.id)
            tenant.load()
            tenant.keep_an_admin()
            self._note(session, principal, f"role:{name}", origin, {"deleted": True})

        await self._change(principal, f"role:{name}", origin, work)

    async def of_people(self, principal: Principal, user_ids: Collection[str]) -> Mapping[str, Collection[str]]:
        """Name the roles of some people of the principal's tenant; who has none is not among them."""
        async with self._database.read() as session:
            return await session.run_sync(repository.roles_of_many, principal.tenant_id, user_ids)

    async def grant(self, principal: Principal, user_id: str, name: str, *, origin: Origin = NOWHERE) -> Sequence[str]:
        """Give somebody a role; all roles that they have then. Raises as `set_roles` does."""
        return await self._assign(principal, user_id, lambda names: names | {name}, origin)

    async def revoke(self, principal: Principal, user_id: str, name: str, *, origin: Origin = NOWHERE) -> Sequence[str]:
        """Take a role from somebody; all roles that they have then. Raises as `set_roles` does."""
        return await self._assign(principal, user_id, lambda names: names - {name}, origin)

    async def set_roles(
        self, principal: Principal, user_id: str, names: Collection[str], *, origin: Origin = NOWHERE
    ) -> Sequence[str]:
        """Give somebody these roles and no others.

        Raises:
            InvalidInput: A role is none.
            Forbidden: They are not of the principal's tenant, or they are the principal; or a role that would come or
                go holds what the principal does not.
            Conflict: Nobody would be left who may do everything (`last_admin`).
        """
        return await self._assign(principal, user_id, lambda _: frozenset(names), origin)

    async def check_may_grant(self, principal: Principal, names: Collection[str], *, origin: Origin = NOWHERE) -> None:
        """Refuse roles for somebody who is yet to come that the principal could not give. Raises as `set_roles`."""

        def work(session: Session) -> None:
            tenant = TenantRoles(session, principal.tenant_id)
            tenant.check_holds(principal, flatten(tenant.nodes, tenant.known(names)))

        await self._change(principal, None, origin, work)

    def give(self, session: Session, user_id: str, names: Collection[str], *, by: str) -> None:
        """Give somebody roles in a transaction, unasked: at the first start, or what an invitation says.

        A role that was deleted since is left out. The tenant's built-in roles are there afterwards.
        """
        person = find_person(session, user_id)
        if person is None:
            raise InvalidInput("There is no such person.")
        if not are_built_in(repository.load_roles(session, person.tenant_id)):
            seed(session, person.tenant_id, self._now())
        tenant = TenantRoles(session, person.tenant_id)
        tenant.give(person, tenant.roles.keys() & set(names), by=by, at=self._now())

    def check_not_last_admin(self, session: Session, user_id: str) -> None:
        """Refuse, in a transaction, to disable or delete the last active administrator of a tenant.

        It goes first in the transaction: from then on nobody else changes who is one. It counts as a change of roles,
        so that every process soon sees who is active.

        Raises:
            Conflict: They are the last (`last_admin`).
        """
        person = find_person(session, user_id)
        if person is not None:
            TenantRoles(session, person.tenant_id).keep_an_admin_besides(person)

    def forget(self, tenant_id: str) -> None:
        """Have this process look anew at what a tenant's people may do; call it once a change has committed."""
        if self._permissions is not None:
            self._permissions.forget(tenant_id)

    async def _assign(
        self,
        principal: Principal,
        user_id: str,
        wanted: Callable[[frozenset[str]], frozenset[str]],
        origin: Origin,
    ) -> Sequence[str]:
        def work(session: Session) -> Sequence[str]:
            tenant = TenantRoles(session, principal.tenant_id)
            person = tenant.person(user_id)
            has = repository.roles_of(session, person)
            names = tenant.known(wanted(has))
            if person.id == principal.user_id:
                raise Forbidden("Nobody changes their own roles: ask another administrator.", code="own_roles")
            tenant.check_holds(principal, flatten(tenant.nodes, names ^ has))
            given = tenant.give(person, names, by=principal.user_id, at=self._now())
            taken = tenant.take(person, has - names)
            tenant.keep_an_admin()
            if given or taken:
                self._note(session, principal, f"user:{user_id}", origin, {"given": given, "taken": taken})
            return sorted(names)

        return await self._change(principal, f"user:{user_id}", origin, work)

    def _put(self, tenant: TenantRoles, principal: Principal, role: StoredRole, node: RoleNode, origin: Origin) -> Role:
        """Finish what makes or changes a role: its parents, the rules, the record."""
        session, owner = tenant.session, (principal.user_id, principal.tenant_id)
        above = [tenant.roles[parent].id for parent in node.parents]
        repository.put_parents(session, role.id, above, owner=owner)
        tenant.load()
        tenant.keep_an_admin()
        details = {"permissions": node.permissions, "parents": node.parents}
        self._note(session, principal, f"role:{role.name}", origin, details)
        return shown(tenant.roles, role.name)

    async def _change(
        self, principal: Principal, subject: str | None, origin: Origin, work: Callable[[Session], Result]
    ) -> Result:
        """Do something in a transaction; a refusal is written down."""
        try:
            async with self._database.transaction() as session:
                result = await session.run_sync(work)
        except (Forbidden, Conflict) as exc:
            if isinstance(exc, Forbidden) or exc.code == LAST_ADMIN:
                entry = _entry("auth.refused", principal, subject, origin, {"reason": exc.code})
                await self._audit.record(replace(entry, outcome="denied"))
            raise
        self.forget(principal.tenant_id)
        return result

    def _note(
        self, session: Session, principal: Principal, subject: str, origin: Origin, details: Mapping[str, Any]
    ) -> None:
        self._audit.note(session, _entry("auth.role_changed", principal, subject, origin, details))


def _entry(
    kind: str, principal: Principal, subject: str | None, origin: Origin, details: Mapping[str, Any]
) -> AuditEntry:
    return AuditEntry(
        type=kind,
        tenant_id=principal.tenant_id,
        actor=principal.user_id,
        client_id=principal.client_id,
        subject=subject,
        origin=origin,
        details=details,
    )
