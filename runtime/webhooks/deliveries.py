"""Rows of deliveries: claimed with a lease, finished under it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...store.models import WebhookDeliveryRow as Row


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


async def due(session: AsyncSession, now: datetime, limit: int) -> Sequence[tuple[str, int]]:
    """Name what is due, longest waiting first, with the attempts made so far."""
    query = select(Row.id, Row.attempts).where(Row.next_attempt_at <= now)
    rows = await session.execute(query.order_by(Row.next_attempt_at).limit(limit))
    return [(row.id, row.attempts) for row in rows]


async def claim(session: AsyncSession, seen: tuple[str, int], until: datetime) -> Row | None:
    """Take a delivery until a time; None when somebody else did since it was seen."""
    delivery_id, attempts = seen
    taken = (
        update(Row)
        .where(Row.id == delivery_id, Row.attempts == attempts, Row.next_attempt_at.is_not(None))
        .values(attempts=attempts + 1, next_attempt_at=until)
        .returning(Row)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(taken)).one_or_none()


async def note(session: AsyncSession, row: Row, **values: Any) -> bool:
    """Write down how an attempt went, unless another attempt has begun since."""
    change = (
        update(Row)
        .where(Row.id == row.id, Row.attempts == row.attempts, Row.status == DeliveryStatus.PENDING)
        .values(**values)
        .returning(Row.id)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(change)).one_or_none() is not None


async def forget(session: AsyncSession, before: datetime) -> None:
    """Drop what was finished before a time."""
    await session.execute(delete(Row).where(Row.finished_at < before))


def pause(attempts: int, first_s: float) -> timedelta:
    """Tell how long to wait after so many failures."""
    return timedelta(seconds=min(first_s * 4 ** (attempts - 1), 86_400))
