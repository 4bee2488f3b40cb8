"""Rows of browser sessions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from ...core.errors import NotFound
from ...core.types import Principal
from ...store.models import SessionRow, TokenFamilyRow, UserRow
from ...store.models.base import table_of


def living(user_id: str, now: datetime) -> ColumnElement[bool]:
    """Sessions of a person that are not over by their age or by anybody's word."""
    return and_(SessionRow.user_id == user_id, SessionRow.revoked_at.is_(None), SessionRow.expires_at > now)


async def get_user(session: AsyncSession, user_id: str) -> UserRow | None:
    """Fetch a person and hold the row: sessions of one person begin one after the other."""
    return (await session.scalars(select(UserRow).where(UserRow.id == user_id).with_for_update())).one_or_none()


async def by_digest(session: AsyncSession, digest: str) -> SessionRow | None:
    """Fetch the session whose cookie this is the hash of, unless it was revoked or its person may not come in."""
    query = select(SessionRow).join(UserRow, UserRow.id == SessionRow.user_id)
    query = query.where(SessionRow.digest == digest, SessionRow.revoked_at.is_(None), UserRow.is_active)
    return (await session.scalars(query)).one_or_none()


async def get_session(session: AsyncSession, principal: Principal, session_id: str) -> SessionRow:
    """Fetch one; `NotFound` when there is none of this principal's."""
    mine = and_(SessionRow.user_id == principal.user_id, SessionRow.tenant_id == principal.tenant_id)
    query = select(SessionRow).where(SessionRow.id == session_id, mine).with_for_update()
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such session.")
    return row


async def all_living(session: AsyncSession, user_id: str, now: datetime) -> Sequence[SessionRow]:
    """Fetch a person's, newest first."""
    query = select(SessionRow).where(living(user_id, now)).order_by(SessionRow.created_at.desc(), SessionRow.id.desc())
    return (await session.scalars(query)).all()


def end(session: Session, wanted: ColumnElement[bool], now: datetime) -> Sequence[tuple[str, str]]:
    """End sessions; the ids and digests of those that lived until now.

    They are held in the order in which `note_seen` writes: neither waits for the other in a circle.
    """
    held = select(SessionRow.id).where(wanted, SessionRow.revoked_at.is_(None)).order_by(SessionRow.id)
    ids = session.scalars(held.with_for_update()).all()
    if not ids:
        return []
    statement = update(SessionRow).where(SessionRow.id.in_(ids)).values(revoked_at=now)
    found = session.execute(statement.returning(SessionRow.id, SessionRow.digest))
    return [(row.id, row.digest) for row in found]


def end_families(session: Session, ended: Collection[str], now: datetime) -> None:
    """End what clients were allowed in sessions that are over, and not for longer (`offline_access`)."""
    persons = select(SessionRow.user_id).where(SessionRow.id.in_(ended))
    wanted = TokenFamilyRow.user_id.in_(persons), TokenFamilyRow.session_id.in_(ended)
    statement = update(TokenFamilyRow).where(*wanted, TokenFamilyRow.revoked_at.is_(None))
    session.execute(statement.values(revoked_at=now, reason="session_ended"))


async def note_seen(session: AsyncSession, seen: Mapping[str, datetime]) -> None:
    """Write down when sessions were used last."""
    table = table_of(SessionRow)
    statement = table.update().where(table.c.id == bindparam("key"), table.c.last_seen_at < bindparam("at"))
    values = [{"key": key, "at": at} for key, at in sorted(seen.items())]
    await session.execute(statement.values(last_seen_at=bindparam("at")), values)


async def drop_old(session: AsyncSession, *, over: datetime, unseen: datetime, most: int) -> int:
    """Delete some sessions that were over, or not used, before these times; how many there were."""
    old = or_(SessionRow.expires_at < over, SessionRow.revoked_at < over, SessionRow.last_seen_at < unseen)
    some = select(SessionRow.id).where(old).limit(most)
    gone = await session.scalars(delete(SessionRow).where(SessionRow.id.in_(some)).returning(SessionRow.id))
    return len(gone.all())
