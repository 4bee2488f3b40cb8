"""Accounts as administrators see them, and the first one of all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from fastapi_users.exceptions import UserAlreadyExists
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import Conflict, Forbidden, NotFound
from ...core.types import Principal
from ...store.models import UserRow
from ..seams import Origin
from .addresses import normal_email
from .hashing import no_password
from .manager import VERIFY_S, WELCOME_S, NewUser
from .parts import NOWHERE, Parts
from .registration import ROLES
from .repository import drop_old_invites, drop_unconfirmed, find_by_email, find_in_tenant, nobody_is_there, some_people
from .schemas import LONGEST_NAME, Person, Welcome, shown

UNCONFIRMED_DAYS: Final = 7
"""Whoever has not confirmed their address by then may begin anew."""
ADMIN: Final = "admin"


class People:
    """The people of every tenant.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(
        self,
        principal: Principal,
        email: str,
        *,
        name: str = "",
        roles: Sequence[str] = ROLES,
        origin: Origin = NOWHERE,
    ) -> Welcome:
        """Make an account for somebody, whose address the principal vouches for. They are mailed the link, too.

        Raises:
            InvalidInput: The address or a role is none.
            Forbidden: The principal could not give one of the roles.
            Conflict: The address has an account (`user_exists`).
        """
        parts = self._parts
        new = _new(normal_email(email), name, principal.tenant_id)
        await parts.roles.check_may_grant(principal, roles, origin=origin)
        try:
            async with parts.database.transaction() as session:
                users = parts.users(session)
                user = await users.add(new)
                await session.run_sync(lambda sync: parts.roles.give(sync, user.id, roles, by=principal.user_id))
                await parts.note(session, user, "created", by=principal.user_id, origin=origin)
                link = parts.links.reset(users.reset_token(user, lifetime_s=WELCOME_S))
        except UserAlreadyExists:
            raise Conflict("There is an account with this address already.", code="user_exists") from None
        parts.mail(user, "welcome", origin, link=link)
        return Welcome(shown(user), link)

    async def list(
        self, principal: Principal, *, limit: int = 50, after: tuple[datetime, str] | None = None
    ) -> Sequence[Person]:
        """List people of the principal's tenant, oldest first.

        Args:
            principal: Who reads.
            limit: The most to return.
            after: Creation time and id of the last one that was seen: go on behind it.
        """
        async with self._parts.database.read() as session:
            return [shown(row) for row in await some_people(session, principal.tenant_id, limit=limit, after=after)]

    async def get(self, principal: Principal, user_id: str | None = None) -> Person:
        """Show one person of the principal's tenant, or the principal; `NotFound` if there is none."""
        async with self._parts.database.read() as session:
            row = await session.get(UserRow, principal.user_id if user_id is None else user_id)
        if row is None or row.tenant_id != principal.tenant_id:
            raise NotFound("There is no such person.")
        return shown(row)

    async def find(self, principal: Principal, told: str) -> Person:
        """Show the person of the principal's tenant that an address or an id names; `NotFound` if there is none."""
        if "@" not in told:
            return await self.get(principal, told)
        async with self._parts.database.read() as session:
            row = await find_by_email(session, normal_email(told))
        return await self.get(principal, "" if row is None else row.id)

    async def disable(self, principal: Principal, user_id: str, *, origin: Origin = NOWHERE) -> Person:
        """Let somebody in no more: their sessions and tokens end, their API keys hold nothing. Again is no error.

        Raises:
            NotFound: There is none of this id.
            Forbidden: It is the principal, or somebody who may do what the principal may not.
            Conflict: Nobody would be left who may do everything (`last_admin`).
        """
        await self._check_over(principal, user_id, origin)
        parts = self._parts
        async with parts.database.transaction() as session:
            await session.run_sync(parts.roles.check_not_last_admin, user_id)
            user = await find_in_tenant(session, principal, user_id)
            user.is_active = False
            over = await parts.end_all(session, user, "disabled", origin=origin)
            await parts.note(session, user, "disabled", by=principal.user_id, origin=origin)
        self._forget(over, user)
        return shown(user)

    async def enable(self, principal: Principal, user_id: str, *, origin: Origin = NOWHERE) -> Person:
        """Let somebody in again. Raises as `disable` does, but for the last."""
        await self._check_over(principal, user_id, origin)
        parts = self._parts
        async with parts.database.transaction() as session:
            # It counts as a change of roles, too: what they may do is remembered as nothing.
            await session.run_sync(lambda sync: parts.roles.give(sync, user_id, (), by=principal.user_id))
            user = await find_in_tenant(session, principal, user_id)
            user.is_active = True
            await parts.note(session, user, "enabled", by=principal.user_id, origin=origin)
        self._forget([], user)
        return shown(user)

    async def delete(self, principal: Principal, user_id: str, *, origin: Origin = NOWHERE) -> None:
        """Delete an account with its sessions, tokens and roles; its API keys end. Raises as `disable` does."""
        await self._check_over(principal, user_id, origin)
        parts = self._parts
        async with parts.database.transaction() as session:
            await session.run_sync(parts.roles.check_not_last_admin, user_id)
            user = await find_in_tenant(session, principal, user_id)
            over = await parts.end_all(session, user, "deleted", origin=origin)
            await parts.end_keys(session, user)
            await parts.note(session, user, "deleted", by=principal.user_id, origin=origin)
            await parts.users(session).user_db.delete(user)
        self._forget(over, user)

    async def reset_link(self, principal: Principal, user_id: str, *, origin: Origin = NOWHERE) -> str:
        """Make a link with which somebody chooses another password, once. Raises as `disable` does."""
        await self._check_over(principal, user_id, origin)
        parts = self._parts
        async with parts.database.transaction() as session:
            user = await find_in_tenant(session, principal, user_id)
            await parts.note(session, user, "reset_link", by=principal.user_id, origin=origin)
            return parts.links.reset(parts.users(session).reset_token(user, lifetime_s=WELCOME_S, mailed=False))

    async def ensure_first_admin(self) -> str | None:
        """Make the first administrator where nobody is, and return the link that lets them in, once.

        Until they have signed in, each start makes another link; then, and where there are others, None.
        """
        parts = self._parts
        try:
            async with parts.database.transaction() as session:
                user = await self._first_admin(session)
                if user is None:
                    return None
                token = parts.users(session).reset_token(user, lifetime_s=VERIFY_S, mailed=False)
        except UserAlreadyExists:  # another process starts at the same time
            return await self.ensure_first_admin()
        parts.roles.forget(user.tenant_id)
        return parts.links.reset(token)

    async def trim(self) -> int:
        """Delete accounts whose address was never confirmed, and old invitations; how many accounts there were."""
        before = self._parts.now() - timedelta(days=UNCONFIRMED_DAYS)
        async with self._parts.database.transaction() as session:
            await drop_old_invites(session, before)
            return await drop_unconfirmed(session, before)

    async def _first_admin(self, session: AsyncSession) -> UserRow | None:
        parts, email = self._parts, normal_email(self._parts.settings.admin_email)
        users = parts.users(session)
        if await nobody_is_there(session):
            user = await users.add(_new(email, "", "default"))
            await session.run_sync(lambda sync: parts.roles.give(sync, user.id, [ADMIN], by=user.id))
            await parts.note(session, user, "first_admin")
            return user
        found = await users.user_db.get_by_email(email)
        waits = found is not None and found.is_active and found.is_verified and found.last_sign_in_at is None
        return found if waits else None

    async def _check_over(self, principal: Principal, user_id: str, origin: Origin) -> None:
        """Nobody decides about themselves, nor about somebody who may do more."""
        await self.get(principal, user_id)
        if user_id == principal.user_id:
            raise Forbidden("Nobody does this to their own account: ask another administrator.", code="own_account")
        names = (await self._parts.roles.of_people(principal, [user_id])).get(user_id, ())
        await self._parts.roles.check_may_grant(principal, names, origin=origin)

    def _forget(self, over: Sequence[str], user: UserRow) -> None:
        self._parts.sessions.forget(over)
        self._parts.roles.forget(user.tenant_id)


def _new(email: str, name: str, tenant_id: str) -> NewUser:
    """An account that waits for its person to choose a password."""
    called = name.strip()[:LONGEST_NAME]
    return NewUser(email=email, password=no_password(), name=called, tenant_id=tenant_id, is_verified=True)
