"""Who may still spend: reservations out of slices that this process holds, without a wait as long as they last."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Self

from ...core.events import EventBus
from ...core.settings_llm import BudgetSettings
from ...store.engine import Database
from ..chat import Caller
from ..seams import Reservation
from .book import Book
from .slices import UNLIMITED, Held
from .teller import Teller
from .upkeep import Upkeep
from .warning import Warnings


class SqlBudgets:
    """Budgets in the database, shared by any number of processes.

    A process that is killed leaves its slices behind; they count as spent `lease_s` later.

    Args:
        database: Where they are.
        settings: What was set.
        bus: Told when a budget runs out.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        database: Database,
        settings: BudgetSettings,
        bus: EventBus,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.database = database
        self.settings = settings
        self.clock = clock
        self._book = Book(clock, self._urgent)
        upkeep = Upkeep(database, self._book, Warnings(database, bus), settings, clock)
        self._teller = Teller(database, self._book, upkeep, lease_s=settings.lease_s, clock=clock)

    async def reserve(self, caller: Caller, most: int) -> Reservation:
        """Reserve at most `most` nano-dollars; what costs nothing is never held up.

        Raises:
            BudgetExceeded: One of the caller's budgets has no room.
            Unavailable: The database is out of reach, and it must be asked.
        """
        if most <= 0:
            return UNLIMITED
        tenant = self._book.tenants.get(caller.tenant_id)
        if tenant is None:
            return await self._teller.ask(caller, most)
        tenant.used = True
        if tenant.free:
            return UNLIMITED
        slices = tenant.plans.get((caller.user_id, caller.key_id, caller.thread_id, caller.agent, caller.run_id))
        if slices is None or self.clock() >= tenant.until:
            slices = self._book.plan(tenant, caller)
        for part in slices:
            if part.room < most:
                return await self._teller.ask(caller, most)
        return Held(slices, most) if slices else UNLIMITED

    def start(self) -> None:
        """Begin to serve; the first request that must wait does so too."""
        self._teller.start()

    async def close(self) -> None:
        """Write what was spent and give back what was not; requests in flight should have ended."""
        await self._teller.close()

    async def flush(self) -> None:
        """Write what was spent now; it is written twice a second anyway."""
        await self._teller.flush()

    def forget(self, tenant_id: str) -> None:
        """Read a tenant's limits anew: they were changed."""
        self._book.tenants.pop(tenant_id, None)

    async def __aenter__(self) -> Self:
        """Start."""
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    def _urgent(self) -> None:
        self._teller.wake()


class NoBudgets:
    """Everybody may spend."""

    async def reserve(self, caller: Caller, most: int) -> Reservation:  # noqa: ARG002
        """Let it pass."""
        return UNLIMITED

    def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""
