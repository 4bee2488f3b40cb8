"""Rows of signing keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...store.models import SigningKeyRow
from .schemas import KeyState

_LOCK: Final = 0x636C6B6579  # ours alone: no other code takes advisory locks of this number


async def lock(session: AsyncSession) -> None:
    """Wait until nobody else changes keys; held to the end of the transaction. SQLite has one writer anyway.

    A lock on rows would not do: who waits for one does not see the row that was added meanwhile.
    """
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(select(func.pg_advisory_xact_lock(_LOCK)))


async def living(session: AsyncSession) -> Sequence[SigningKeyRow]:
    """Fetch those that are not retired, oldest first."""
    query = select(SigningKeyRow).where(SigningKeyRow.state != KeyState.RETIRED.value)
    return (await session.scalars(query.order_by(SigningKeyRow.created_at, SigningKeyRow.kid))).all()


async def all_keys(session: AsyncSession) -> Sequence[SigningKeyRow]:
    """Fetch all, oldest first."""
    return (await session.scalars(select(SigningKeyRow).order_by(SigningKeyRow.created_at, SigningKeyRow.kid))).all()
