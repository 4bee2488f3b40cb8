"""How many runs execute at once in a process, and the seat that a run may be born on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ...store.lease import Lease
from ...store.models import RunRow
from .engine import Claimed


class Seats:
    """A counted set of seats; one may be taken without waiting.

    Args:
        total: How many there are.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._free = total
        self._freed = asyncio.Event()

    def try_take(self) -> bool:
        """Take a seat if one is free."""
        if self._free <= 0:
            return False
        self._free -= 1
        return True

    async def take(self, most: int) -> int:
        """Wait for a free seat and take as many as there are; how many."""
        while self._free <= 0:
            self._freed.clear()
            await self._freed.wait()
        taken = min(self._free, most)
        self._free -= taken
        return taken

    def give_back(self, count: int = 1) -> None:
        """Free seats."""
        self._free += count
        if count:
            self._freed.set()


class Seat:
    """A seat offered to a run that is about to be inserted; empty without arguments.

    Args:
        claim: Marks the row as running here.
        launch: Executes the claimed run.
    """

    def __init__(
        self, claim: Callable[[RunRow], Lease] | None = None, launch: Callable[[Claimed], None] | None = None
    ) -> None:
        self._claim = claim
        self._launch = launch

    @property
    def unused(self) -> bool:
        """Whether the seat is still to be given back."""
        return self._launch is not None

    def take(self, row: RunRow) -> Lease | None:
        """Make the row begin as running on this seat; None when the seat is empty."""
        return self._claim(row) if self._claim is not None else None

    def begin(self, claimed: Claimed) -> None:
        """Execute the run: its row is committed."""
        launch, self._launch = self._launch, None
        if launch is not None:
            launch(claimed)
