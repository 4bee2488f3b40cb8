"""Connections between two transactions of prepared statements: to lend one takes a pool longer than SQLite works."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from sqlalchemy.ext.asyncio import AsyncEngine

from .prepared import Direct

PLACES: Final = 3
"""Connections that are kept, at most: a fraction of what the pool has, the rest of which serves sessions."""


class Parking:
    """Lends connections of an engine's pool, and keeps some that came back clean for the next one.

    Args:
        engine: Whose pool.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._parked: list[Direct] = []
        self._closed = False

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Direct]:
        """Lend one for a transaction; the block ends that. What raises gives its connection back to the pool."""
        direct = self._parked.pop() if self._parked else await self._fresh()
        clean = False
        try:
            yield direct
            clean = True
        finally:
            if clean and len(self._parked) < PLACES and not self._closed:
                self._parked.append(direct)
            else:
                await asyncio.shield(self._give_back(direct))

    async def close(self) -> None:
        """Give back what is kept; from now on nothing is."""
        self._closed = True
        for direct in self._taken():
            await direct.close()

    async def _fresh(self) -> Direct:
        return Direct(await self._engine.raw_connection(), self._engine.dialect)

    async def _give_back(self, direct: Direct) -> None:
        await direct.close()
        if direct.is_lost:  # the database went away, and those that wait here know nothing of it yet
            for other in self._taken():
                await other.drop()

    def _taken(self) -> list[Direct]:
        parked, self._parked = self._parked, []
        return parked
