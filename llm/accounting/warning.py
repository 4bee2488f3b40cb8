"""Telling that a budget runs out: once for each threshold and period, whoever notices first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

from ...core.events import BudgetWarned, EventBus
from ...store.engine import Database
from .budget_repository import Told, mark_forecast, mark_warned
from .limits import exceeded_at, reached
from .slices import Slice


class Warnings:
    """Publishes `budget.warned`.

    Args:
        database: Where it is noted what was told.
        bus: Takes the events; a slow subscriber keeps no request waiting.
    """

    def __init__(self, database: Database, bus: EventBus) -> None:
        self._database = database
        self._bus = bus
        self._publishing: set[asyncio.Task[None]] = set()

    async def look(self, written: Sequence[tuple[Slice, Told]], now: datetime) -> None:
        """Tell what there is to tell of accounts that were just written."""
        due = [(part, told) for part, told in written if _is_due(part, told, now)]
        if not due:
            return
        events: list[BudgetWarned] = []
        async with self._database.transaction() as session:
            for part, told in due:
                threshold = reached(part.limit, told.spent)
                if threshold > told.warned and await mark_warned(session, part.account, threshold):
                    events.append(_event(part, told, threshold, None))
                runs_out = _runs_out(part, told, now)
                if runs_out is not None and await mark_forecast(session, part.account):
                    events.append(_event(part, told, 0, runs_out))
        for event in events:
            task = asyncio.create_task(self._bus.publish(event))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    async def drain(self) -> None:
        """Wait until everything is told."""
        while self._publishing:
            await asyncio.wait(self._publishing)


def _is_due(part: Slice, told: Told, now: datetime) -> bool:
    return reached(part.limit, told.spent) > told.warned or _runs_out(part, told, now) is not None


def _runs_out(part: Slice, told: Told, now: datetime) -> datetime | None:
    if told.forecast or told.spent >= part.limit.amount:
        return None
    return exceeded_at(part.limit, told.spent, now)


def _event(part: Slice, told: Told, threshold: int, runs_out: datetime | None) -> BudgetWarned:
    limit, subject = part.limit, part.account.subject
    return BudgetWarned(
        tenant_id=limit.tenant_id,
        user_id=subject if limit.scope == "user" else None,
        thread_id=subject if limit.scope == "thread" else None,
        run_id=part.account.span if limit.period == "run" else None,
        agent=subject if limit.scope == "agent" else None,
        budget_id=limit.id,
        scope=limit.scope,
        subject=subject,
        period=limit.period,
        span=part.account.span,
        limit=limit.amount,
        spent=told.spent,
        threshold=threshold,
        runs_out_at=runs_out,
    )
