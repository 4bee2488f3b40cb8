"""A lock between processes, held on a file: the first start of two programs on one SQLite file happens once."""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path


def lock_beside(file: Path) -> Path:
    """Name the lock of a database file."""
    return file.with_suffix(".migrate.lock")


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold the lock; blocks the thread until it is free."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@asynccontextmanager
async def file_lock_async(path: Path) -> AsyncIterator[None]:
    """Hold the lock; the event loop goes on while it is waited for."""
    with path.open("w") as handle:
        await asyncio.to_thread(fcntl.flock, handle, fcntl.LOCK_EX)
        yield
