"""Rows of crons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal
from ...store.containment import contains
from ...store.models import CronRow
from ..scope import mine
from .schemas import CronFilter, CronSearch

_COLUMNS = {"cron_id": "id", "next_run_date": "next_run_at"}


async def get_cron(session: AsyncSession, principal: Principal, cron_id: str, *, lock: bool = False) -> CronRow:
    """Fetch one; `NotFound` when there is none of this principal's."""
    query = select(CronRow).where(CronRow.id == cron_id, mine(CronRow, principal))
    row = (await session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound(f"Cron {cron_id!r} not found")
    return row


def _meant(principal: Principal, asked: CronFilter) -> list[ColumnElement[bool]]:
    thread_id = str(asked.thread_id) if asked.thread_id is not None else None
    exact = {"assistant_id": asked.assistant_id, "thread_id": thread_id, "enabled": asked.enabled}
    wanted = [getattr(CronRow, name) == value for name, value in exact.items() if value is not None]
    if asked.metadata:
        wanted.append(contains(CronRow.meta, asked.metadata))
    return [mine(CronRow, principal), *wanted]


async def page_of_crons(session: AsyncSession, principal: Principal, asked: CronSearch) -> Sequence[CronRow]:
    """Fetch a page and one more. What has no value comes last upwards and first downwards."""
    column: Any = getattr(CronRow, _COLUMNS.get(asked.sort_by, asked.sort_by))
    up = asked.sort_order == "asc"
    order = column.asc().nulls_last() if up else column.desc().nulls_first()
    query = (
        select(CronRow).where(*_meant(principal, asked)).order_by(order, CronRow.id.asc() if up else CronRow.id.desc())
    )
    return (await session.scalars(query.offset(asked.offset).limit(asked.limit + 1))).all()


async def count_crons(session: AsyncSession, principal: Principal, asked: CronFilter) -> int:
    """Count them."""
    query = select(func.count()).select_from(CronRow).where(*_meant(principal, asked))
    return (await session.scalars(query)).one()


async def due_crons(session: AsyncSession, now: datetime, limit: int) -> Sequence[CronRow]:
    """Fetch everybody's crons whose time has come, longest due first."""
    query = select(CronRow).where(CronRow.next_run_at <= now).order_by(CronRow.next_run_at).limit(limit)
    return (await session.scalars(query)).all()


async def take_tick(session: AsyncSession, row: CronRow, following: datetime | None) -> bool:
    """Move a cron on from the tick it was seen at; False when somebody else did."""
    moved = (
        update(CronRow)
        .where(CronRow.id == row.id, CronRow.next_run_at == row.next_run_at, CronRow.enabled)
        .values(next_run_at=following)
        .returning(CronRow.id)
        .execution_options(synchronize_session=False)
    )
    return (await session.scalars(moved)).one_or_none() is not None


async def note_problem(session: AsyncSession, row: CronRow, problem: str | None, *, now: datetime, stop: bool) -> None:
    """Write down what became of a tick; `stop` ends the cron, unless it was changed meanwhile."""
    values: dict[str, Any] = {"error": problem}
    if stop:
        values |= {"enabled": False, "next_run_at": None, "updated_at": now}
    change = update(CronRow).where(CronRow.id == row.id, CronRow.updated_at == row.updated_at).values(**values)
    await session.execute(change.execution_options(synchronize_session=False))
