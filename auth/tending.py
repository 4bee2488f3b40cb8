"""What is due now and then: rows that are over go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

log = structlog.get_logger(__name__)

EVERY_S: Final = 300.0
Chore = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def tended(chores: Sequence[Chore], *, every_s: float = EVERY_S) -> AsyncIterator[None]:
    """Do chores now and then until the block ends; one that fails has its next turn, and keeps no other back."""
    tending = asyncio.create_task(_forever(chores, every_s))
    try:
        yield
    finally:
        tending.cancel()
        await asyncio.wait([tending])


async def _forever(chores: Sequence[Chore], every_s: float) -> None:
    while True:
        await asyncio.sleep(every_s)
        for chore in chores:
            try:
                await chore()
            except (SQLAlchemyError, OSError) as exc:
                log.warning("chore_failed", error=type(exc).__name__)
