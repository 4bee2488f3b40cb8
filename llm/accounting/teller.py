"""The one task that speaks with the database about budgets: requests that wait are served together, in one transaction.

Whatever it changes in memory, it changes after the commit and without a pause: a request that is cancelled meanwhile
loses nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import Unavailable
from ...core.types import new_id
from ...store.engine import Database
from ..chat import Caller
from ..errors import BudgetExceeded
from ..seams import Reservation
from .book import Book
from .budget_repository import LeaseLost, State, hold, limits_of, reserve, state_of
from .refusing import refusal
from .slices import UNLIMITED, Held, Slice
from .upkeep import Upkeep

log = structlog.get_logger(__name__)

TICK_S: Final = 0.5
MOST_WAITING: Final = 10_000
_TRIES: Final = 3
_DOWN: Final = "Budgets cannot be checked at the moment; try again."


@dataclass(slots=True)
class Ask:
    """A request that waits for room."""

    caller: Caller
    most: int
    future: asyncio.Future[Reservation]

    def refuse(self, error: BudgetExceeded | Unavailable) -> None:
        """Say no, unless it was answered or has gone."""
        if not self.future.done():
            self.future.set_exception(error)


@dataclass(slots=True)
class _Got:
    """What one transaction brings, once it is committed."""

    leases: dict[Slice, tuple[str, int]] = field(default_factory=dict)
    exhausted: dict[Slice, State] = field(default_factory=dict)
    sent: bool = False


class Teller:
    """Serves requests whose slices are used up, and sees to the upkeep.

    Args:
        database: Where budgets are.
        book: What this process holds.
        upkeep: Does what is due.
        lease_s: How long a lease is good for.
        clock: Seconds since 1970.
    """

    def __init__(
        self, database: Database, book: Book, upkeep: Upkeep, *, lease_s: float, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._book = book
        self._upkeep = upkeep
        self._lease_s = lease_s
        self._clock = clock
        self._asks: list[Ask] = []
        self._flushes: list[asyncio.Future[None]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    def start(self) -> None:
        """Begin to serve, unless it does."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._forever())

    def wake(self) -> None:
        """Have what was spent written soon."""
        self._upkeep.hurry()
        self._wake.set()

    async def close(self) -> None:
        """Serve no more; write everything, give everything back."""
        self._closing = True
        if self._task is not None:
            self._wake.set()
            await asyncio.wait({self._task})

    async def ask(self, caller: Caller, most: int) -> Reservation:
        """Wait for room.

        Raises:
            BudgetExceeded: There is none.
            Unavailable: The database is out of reach, or too many wait.
        """
        if self._closing or len(self._asks) >= MOST_WAITING:
            raise Unavailable(_DOWN)
        self.start()
        future: asyncio.Future[Reservation] = asyncio.get_running_loop().create_future()
        self._asks.append(Ask(caller, most, future))
        self._wake.set()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().settle(0)  # it was given in the moment in which the one who waited was stopped
            raise

    async def flush(self) -> None:
        """Have everything that was spent written; `Unavailable` if it cannot be."""
        if self._closing:
            return
        self.start()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._flushes.append(done)
        self.wake()
        await done

    async def _forever(self) -> None:
        try:
            while not self._closing:
                await self._next()
                await self._round()
            await self._upkeep.hand_over()
        finally:
            self._turn_away(self._asks, self._flushes)

    async def _next(self) -> None:
        try:
            async with asyncio.timeout(None if self._book.empty else TICK_S):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _round(self) -> None:
        asks, self._asks = self._asks, []
        flushes, self._flushes = self._flushes, []
        try:
            await self._serve(asks)
            await self._upkeep.do_due()
            for done in flushes:
                if not done.done():
                    done.set_result(None)
        except SQLAlchemyError as exc:
            log.warning("budgets_stalled", error=type(exc).__name__, waiting=len(asks))
        finally:
            self._turn_away(asks, flushes)

    def _turn_away(self, asks: Sequence[Ask], flushes: Sequence[asyncio.Future[None]]) -> None:
        for ask in asks:
            ask.refuse(Unavailable(_DOWN))
        for done in flushes:
            if not done.done():
                done.set_exception(Unavailable(_DOWN))

    async def _serve(self, asks: Sequence[Ask]) -> None:
        while asks:
            await self._learn({ask.caller.tenant_id for ask in asks} - self._book.tenants.keys())
            asks = await self._serve_once([ask for ask in asks if not ask.future.done()])

    async def _learn(self, tenants: set[str]) -> None:
        if tenants:
            async with self._database.read() as session:
                found = await limits_of(session, tenants)
            for tenant_id, limits in found.items():
                self._book.learn(tenant_id, limits)

    async def _serve_once(self, asks: Sequence[Ask]) -> list[Ask]:
        """Answer whom it can; those whose room went to somebody faster come back."""
        plans: list[tuple[Ask, Sequence[Slice]]] = []
        needs: dict[Slice, list[int]] = {}
        for ask in asks:
            tenant = self._book.tenants.get(ask.caller.tenant_id)
            if tenant is None:  # forgotten meanwhile
                return list(asks)
            plans.append((ask, self._book.plan(tenant, ask.caller)))
            for part in plans[-1][1]:
                needs.setdefault(part, []).append(ask.most)
        exhausted = await self._extend({part: mosts for part, mosts in needs.items() if sum(mosts) > part.room})
        return [ask for ask, slices in plans if not self._answer(ask, slices, exhausted)]

    def _answer(self, ask: Ask, slices: Sequence[Slice], exhausted: Mapping[Slice, State]) -> bool:
        lacking = [part for part in slices if part.room < ask.most]
        if ask.future.done():
            return True
        if not lacking:
            ask.future.set_result(Held(slices, ask.most) if slices else UNLIMITED)
            return True
        refusing = {part: exhausted[part] for part in lacking if part in exhausted}
        if refusing:
            ask.refuse(refusal(refusing, ask.most, self._now()))
            for part in slices:
                part.used = 0  # what was had for this request goes back with the next writing
        return bool(refusing)

    async def _extend(self, needs: Mapping[Slice, Sequence[int]]) -> dict[Slice, State]:
        """Get the slices what they need; tells those that could not get it all, with how their accounts stand."""
        if not needs:
            return {}
        if any(part.over for part in needs):
            await self._upkeep.flush()
        got = _Got()
        try:
            async with self._database.transaction() as session:
                for part in sorted(needs, key=lambda part: part.account):
                    await self._get(session, part, needs[part], got)
                got.sent = True
        except LeaseLost as exc:
            self._book.lose(exc.slice)
            return {}
        except SQLAlchemyError:
            for part in needs if got.sent else ():  # it may have been committed
                self._book.lose(part)
            raise
        for part, (lease, amount) in got.leases.items():
            part.lease = lease
            part.room += amount
        return got.exhausted

    async def _get(self, session: AsyncSession, part: Slice, mosts: Sequence[int], got: _Got) -> None:
        amount, state = await self._grow(session, part, mosts)
        if state is not None:
            got.exhausted[part] = state
        if amount:
            lease = part.lease or new_id()
            await hold(session, part, lease, amount, self._now() + timedelta(seconds=self._lease_s))
            got.leases[part] = lease, amount

    async def _grow(self, session: AsyncSession, part: Slice, mosts: Sequence[int]) -> tuple[int, State | None]:
        """Reserve what is needed and some more, else what is needed, else what there is."""
        now = self._now()
        short = sum(mosts) - part.room
        if short <= 0:  # somebody settled meanwhile
            return 0, None
        for amount in dict.fromkeys((part.want(short, now.timestamp()), short)):
            state = await reserve(session, part, amount, now)
            if state is not None:
                part.rest = state.rest
                return amount, None
        return await self._take_rest(session, part, mosts)

    async def _take_rest(self, session: AsyncSession, part: Slice, mosts: Sequence[int]) -> tuple[int, State | None]:
        found = await state_of(session, part.account)
        for _ in range(_TRIES):
            if found.amount is None:  # the budget is gone: whoever waits is planned anew
                self._book.forget(part)
                return 0, None
            amount = _fitting(mosts, found.rest + part.room) - part.room
            if amount <= 0 or await reserve(session, part, amount, self._now()) is not None:
                part.rest = found.rest - max(amount, 0)
                return max(amount, 0), found._replace(reserved=found.reserved + max(amount, 0))
            found = await state_of(session, part.account)  # another process was faster
        return 0, found

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def _fitting(mosts: Sequence[int], available: int) -> int:
    """Add up those that fit, first come first served."""
    total = 0
    for most in mosts:
        if total + most <= available:
            total += most
    return total
