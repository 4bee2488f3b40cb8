"""Rows of people."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal
from ...store.models import InviteRow, UserRow


async def find_by_email(session: AsyncSession, email: str) -> UserRow | None:
    """Fetch somebody by their address in its kept form, to read."""
    return (await session.scalars(select(UserRow).where(UserRow.email == email))).one_or_none()


async def find_in_tenant(session: AsyncSession, principal: Principal, user_id: str) -> UserRow:
    """Fetch somebody of the principal's tenant and hold the row; `NotFound` if there is none."""
    mine = and_(UserRow.id == user_id, UserRow.tenant_id == principal.tenant_id)
    row = (await session.scalars(select(UserRow).where(mine).with_for_update())).one_or_none()
    if row is None:
        raise NotFound("There is no such person.")
    return row


async def some_people(
    session: AsyncSession, tenant_id: str, *, limit: int, after: tuple[datetime, str] | None
) -> Sequence[UserRow]:
    """Fetch people of a tenant, oldest first, from behind a creation time and an id on."""
    wanted: list[ColumnElement[bool]] = [UserRow.tenant_id == tenant_id]
    if after is not None:
        at, last = after
        wanted.append(or_(UserRow.created_at > at, and_(UserRow.created_at == at, UserRow.id > last)))
    query = select(UserRow).where(*wanted).order_by(UserRow.created_at, UserRow.id).limit(limit)
    return (await session.scalars(query)).all()


async def nobody_is_there(session: AsyncSession) -> bool:
    """Whether there are no people at all."""
    return (await session.scalars(select(UserRow.id).limit(1))).one_or_none() is None


async def improve_hash(session: AsyncSession, user: UserRow, better: str) -> None:
    """Store a stronger hash of the same password, unless it was changed meanwhile."""
    same = and_(UserRow.id == user.id, UserRow.hashed_password == user.hashed_password)
    await session.execute(update(UserRow).where(same).values(hashed_password=better))


async def drop_unconfirmed(session: AsyncSession, before: datetime) -> int:
    """Delete whoever never confirmed their address; how many there were."""
    never = and_(UserRow.is_verified.is_(False), UserRow.last_sign_in_at.is_(None), UserRow.is_active)
    gone = await session.scalars(delete(UserRow).where(never, UserRow.created_at < before).returning(UserRow.id))
    return len(gone.all())


async def drop_old_invites(session: AsyncSession, before: datetime) -> None:
    """Delete invitations that nobody can use since then."""
    await session.execute(delete(InviteRow).where(InviteRow.expires_at < before))
