"""What is due with budgets: write what was spent, give back what is spare, renew leases, bury those of the dead."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.settings_llm import BudgetSettings
from ...store.engine import Database
from .book import Book
from .budget_repository import (
    LeaseLost,
    Part,
    Told,
    bury,
    drop_leases,
    expired,
    forget_spans,
    limits_of,
    renew,
    sorted_by_account,
    write,
)
from .slices import Slice
from .warning import Warnings

log = structlog.get_logger(__name__)

FLUSH_S: Final = 0.5
IDLE_S: Final = 5.0
"""A slice that nobody used for so long is given back."""
_TOGETHER: Final = 100
_FORGET_S: Final = 3_600.0
_SCARCE: Final = 8
"""Nothing is kept of an account that has less than this part of its amount left."""


class Upkeep:
    """Does what is due, one thing after the other; only the teller calls it.

    Args:
        database: Where budgets are.
        book: What this process holds.
        warnings: Looks at each account that was written.
        settings: What was set.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        book: Book,
        warnings: Warnings,
        settings: BudgetSettings,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._book = book
        self._warnings = warnings
        self._settings = settings
        self._clock = clock
        self._flush_at = self._refresh_at = self._renew_at = self._forget_at = 0.0

    def hurry(self) -> None:
        """Write at the next occasion."""
        self._flush_at = 0.0

    async def do_due(self) -> None:
        """Do what is due; these intervals are none of the wall clock's, which may be set back."""
        now = asyncio.get_running_loop().time()
        if now >= self._flush_at or self._book.crowded:
            await self.flush()
        if now >= self._refresh_at:
            self._refresh_at = now + self._settings.refresh_s
            await self._refresh()
        if now >= self._renew_at:
            self._renew_at = now + self._settings.lease_s / 3
            await self._renew()
            await self._bury_the_dead()
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_S
            await self._forget()
        self._book.forget_tenants()

    async def hand_over(self) -> None:
        """Write everything and give everything back; what requests in flight hold stays leased."""
        try:
            await self.flush(everything=True)
            await self._warnings.drain()
        except SQLAlchemyError as exc:
            log.warning("budgets_not_handed_over", error=type(exc).__name__)

    async def flush(self, *, everything: bool = False) -> None:
        """Write what was spent, and give back what is scarce or idle."""
        now, book = self._clock(), self._book
        self._flush_at = asyncio.get_running_loop().time() + FLUSH_S
        everything = everything or book.crowded
        taken = [self._take(part, now, everything=everything) for part in (*book.slices.values(), *book.lost)]
        parts = sorted_by_account(part for part in taken if part.used or part.over or part.back)
        while parts:
            now_written, parts = parts[:_TOGETHER], parts[_TOGETHER:]
            try:
                await self._write(now_written)
            except SQLAlchemyError:
                _put_back(parts)
                raise
        book.tidy(now - IDLE_S)

    def _take(self, part: Slice, now: float, *, everything: bool) -> Part:
        """Take out of a slice what is to be written, so that nobody else does."""
        if part.spent or part.flying:
            part.used = now
        scarce = part.rest * _SCARCE < part.limit.amount
        if part.lost:
            part.room = part.spent = 0  # counted with its lease
        back = part.room if everything or scarce or now - part.used > IDLE_S else 0
        taken = Part(part, part.spent, part.over, back)
        part.room -= back
        part.spent = part.over = 0
        return taken

    async def _write(self, parts: Sequence[Part]) -> None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        sent = False
        try:
            async with self._database.transaction() as session:
                told = [await write(session, part, now) for part in parts]
                emptied = await self._drop_emptied(session, parts)
                sent = True
        except LeaseLost as exc:
            _put_back(parts)
            self._book.lose(exc.slice)
            self.hurry()
            return
        except SQLAlchemyError:
            _put_back(parts)
            for part in parts if sent else ():  # it may have been committed
                self._book.lose(part.slice)
            raise
        for slice_ in emptied:
            slice_.lease = None
        await self._written([(part.slice, each) for part, each in zip(parts, told, strict=True)], now)

    async def _drop_emptied(self, session: AsyncSession, parts: Sequence[Part]) -> list[Slice]:
        """Delete the leases that hold nothing any more; nothing can be reserved of them meanwhile."""
        emptied = [part.slice for part in parts if part.slice.lease is not None and part.slice.idle]
        if emptied:
            await drop_leases(session, [part.lease for part in emptied if part.lease is not None])
        return emptied

    async def _written(self, written: Sequence[tuple[Slice, Told | None]], now: datetime) -> None:
        alive: list[tuple[Slice, Told]] = []
        for part, told in written:
            if told is None:
                self._book.forget(part)
            else:
                part.rest = part.limit.amount - told.spent - told.reserved
                alive.append((part, told))
        await self._warnings.look(alive, now)

    async def _refresh(self) -> None:
        """Read the limits of the tenants that are at work."""
        tenants = self._book.to_look_at()
        if tenants:
            async with self._database.read() as session:
                found = await limits_of(session, tenants)
            for tenant_id, limits in found.items():
                self._book.learn(tenant_id, limits)

    async def _renew(self) -> None:
        leases = [part.lease for part in self._book.slices.values() if part.lease is not None]
        expires = datetime.fromtimestamp(self._clock() + self._settings.lease_s, UTC)
        for start in range(0, len(leases), _TOGETHER):
            async with self._database.transaction() as session:
                await renew(session, sorted(leases[start : start + _TOGETHER]), expires)

    async def _bury_the_dead(self) -> None:
        now = datetime.fromtimestamp(self._clock(), UTC)
        async with self._database.read() as session:
            dead = await expired(session, now, _TOGETHER)
        for lease, account in dead:
            async with self._database.transaction() as session:
                held = await bury(session, lease, account, now)
            if held:
                log.warning("budget_lease_expired", budget_id=account.limit_id, counted_as_spent=held)

    async def _forget(self) -> None:
        before = datetime.fromtimestamp(self._clock(), UTC) - self._settings.keep
        async with self._database.transaction() as session:
            gone = await forget_spans(session, before)
        if gone:
            log.info("budget_spans_forgotten", accounts=gone)


def _put_back(parts: Sequence[Part]) -> None:
    for part in parts:
        part.slice.room += part.back
        part.slice.spent += part.used
        part.slice.over += part.over
