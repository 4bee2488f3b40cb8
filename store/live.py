"""What crosses processes at once: live tails and wake-ups. Without Redis each process has its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from ..core.types import new_id
from .redis_link import Link, Outbox, connect
from .tails import MemoryTail, Tail
from .tails_redis import RedisTail
from .wakeups import MemoryWakeups, Wakeups
from .wakeups_redis import RedisWakeups


@dataclass(frozen=True, slots=True)
class Live:
    """The live half of the state; nothing of it is truth."""

    tail: Tail
    wakeups: Wakeups


@asynccontextmanager
async def open_live(redis_url: str | None) -> AsyncIterator[Live]:
    """Open tails and wake-ups, over Redis if there is a URL. A Redis that is down is no obstacle.

    Raises:
        ConfigError: The URL is none.
    """
    if redis_url is None:
        yield Live(MemoryTail(), MemoryWakeups())
        return
    client, link, origin = connect(redis_url), Link(), new_id()
    outbox = Outbox(client, link)
    tail = RedisTail(client, outbox, link, origin=origin)
    wakeups = RedisWakeups(client, outbox, link, origin=origin)
    for part in (outbox, tail, wakeups):
        part.start()
    try:
        yield Live(tail, wakeups)
    finally:
        for part in (outbox, tail, wakeups):
            await part.close()
        await client.aclose()
