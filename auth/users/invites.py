"""Invitations: leave to make an account, once."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import InvalidInput, NotFound
from ...core.types import Principal, new_id
from ...store.models import InviteRow
from ..seams import AuditEntry, Origin
from .addresses import normal_email
from .parts import NOWHERE, Parts

DAYS: Final = 7
MOST_LISTED: Final = 1000
_FORM: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Invite(BaseModel):
    """An invitation as it is listed; the code in its link is not kept."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    id: str
    email: str | None = Field(None, description="Who may use it; null: whoever has the link")
    roles: list[str]
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None = None


class NewInvite(Invite):
    """An invitation with its link, which is told this once."""

    link: str


class Invites:
    """The invitations of every tenant.

    Args:
        parts: What it works with.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def create(
        self,
        principal: Principal,
        email: str | None = None,
        *,
        roles: Sequence[str] = ("member",),
        days: int = DAYS,
        origin: Origin = NOWHERE,
    ) -> NewInvite:
        """Invite somebody. With an address the link is mailed there, and good for it alone.

        Raises:
            InvalidInput: The address or a role is none.
            Forbidden: The principal could not give one of the roles.
        """
        parts, code = self._parts, secrets.token_urlsafe(32)
        address = None if email is None else normal_email(email)
        await parts.roles.check_may_grant(principal, roles, origin=origin)
        row = self._row(principal, address, roles, days)
        row.digest = _digest(code)
        async with parts.database.transaction() as session:
            session.add(row)
            await session.run_sync(parts.audit.note, _entry(row, origin))
        link = parts.links.register(code)
        if address is not None:
            parts.mail(address, "invite", origin, link=link, days=days)
        return NewInvite(**Invite.model_validate(row).model_dump(), link=link)

    async def list(self, principal: Principal) -> Sequence[Invite]:
        """List the invitations of the principal's tenant that can be used, newest first."""
        good = and_(InviteRow.used_at.is_(None), InviteRow.expires_at > self._parts.now())
        query = select(InviteRow).where(InviteRow.tenant_id == principal.tenant_id, good)
        query = query.order_by(InviteRow.created_at.desc(), InviteRow.id.desc()).limit(MOST_LISTED)
        async with self._parts.database.read() as session:
            return [Invite.model_validate(row) for row in await session.scalars(query)]

    async def revoke(self, principal: Principal, invite_id: str) -> None:
        """Take an invitation back; `NotFound` if there is none."""
        mine = and_(InviteRow.id == invite_id, InviteRow.tenant_id == principal.tenant_id)
        async with self._parts.database.transaction() as session:
            gone = await session.scalars(delete(InviteRow).where(mine).returning(InviteRow.id))
            if not gone.all():
                raise NotFound("There is no such invitation.")

    async def is_good(self, code: str) -> bool:
        """Whether a code could be used now: what the page asks before it shows its form."""
        if not _FORM.fullmatch(code):
            return False
        query = select(InviteRow.id).where(_usable(code, self._parts.now()))
        async with self._parts.database.read() as session:
            return (await session.scalars(query)).one_or_none() is not None

    def _row(self, principal: Principal, email: str | None, roles: Sequence[str], days: int) -> InviteRow:
        now = self._parts.now()
        return InviteRow(
            id=new_id(),
            email=email,
            roles=[*roles],
            created_at=now,
            expires_at=now + timedelta(days=days),
            owner_id=principal.user_id,
            tenant_id=principal.tenant_id,
        )


async def take(session: AsyncSession, code: str, email: str, now: datetime) -> InviteRow:
    """Use an invitation up, in a transaction: of several that come at once one succeeds.

    Raises:
        InvalidInput: It was used, is too old, is another's, or never was one (`bad_invite`).
    """
    row = None
    if _FORM.fullmatch(code):
        statement = update(InviteRow).where(_usable(code, now)).values(used_at=now).returning(InviteRow)
        row = (await session.scalars(statement)).one_or_none()
    if row is None or row.email not in {None, email}:
        raise InvalidInput("This invitation was used already, is too old, or is for another address.", code=BAD)
    return row


BAD: Final = "bad_invite"


def _entry(row: InviteRow, origin: Origin) -> AuditEntry:
    return AuditEntry(
        type="auth.user_changed",
        tenant_id=row.tenant_id,
        actor=row.owner_id,
        subject=f"invite:{row.id}",
        origin=origin,
        details={"change": "invited", "roles": row.roles},
    )


def _usable(code: str, now: datetime) -> ColumnElement[bool]:
    return and_(InviteRow.digest == _digest(code), InviteRow.used_at.is_(None), InviteRow.expires_at > now)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("ascii")).hexdigest()
