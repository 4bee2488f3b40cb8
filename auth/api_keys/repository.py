"""Rows of API keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal
from ...store.models import ApiKeyRow
from ...store.models.base import table_of


def _mine(principal: Principal) -> ColumnElement[bool]:
    return and_(ApiKeyRow.owner_id == principal.user_id, ApiKeyRow.tenant_id == principal.tenant_id)


async def get_key(session: AsyncSession, principal: Principal, key_id: str) -> ApiKeyRow:
    """Fetch one; `NotFound` when there is none of this principal's."""
    query = select(ApiKeyRow).where(ApiKeyRow.id == key_id, _mine(principal)).with_for_update()
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such API key.")
    return row


async def all_keys(session: AsyncSession, principal: Principal) -> Sequence[ApiKeyRow]:
    """Fetch all, revoked ones too, oldest first."""
    query = select(ApiKeyRow).where(_mine(principal)).order_by(ApiKeyRow.created_at, ApiKeyRow.id)
    return (await session.scalars(query)).all()


async def count_living(session: AsyncSession, principal: Principal) -> int:
    """Count those that were not revoked."""
    query = select(func.count()).select_from(ApiKeyRow).where(_mine(principal), ApiKeyRow.revoked_at.is_(None))
    return (await session.execute(query)).scalar_one()


async def by_digest(session: AsyncSession, digest: str) -> ApiKeyRow | None:
    """Fetch the one whose secret this is the hash of, whoever's it is, unless it was revoked."""
    query = select(ApiKeyRow).where(ApiKeyRow.digest == digest, ApiKeyRow.revoked_at.is_(None))
    return (await session.scalars(query)).one_or_none()


async def note_used(session: AsyncSession, used: Mapping[str, datetime]) -> None:
    """Write down when keys were used last."""
    table = table_of(ApiKeyRow)
    statement = table.update().where(table.c.id == bindparam("key")).values(last_used_at=bindparam("at"))
    await session.execute(statement, [{"key": key, "at": at} for key, at in used.items()])
