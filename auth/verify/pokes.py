"""A word to the other processes that there is something new to read; without Redis they find out by themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from redis.asyncio import Redis

from ...core.types import new_id
from ...store.redis_link import Link, Outbox, connect, end, hear


class Pokes:
    """Without Redis: nobody is told, and nobody tells."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        """Set when another process said something, and whenever something may have been missed."""

    def tell(self) -> None:
        """Tell the other processes; nobody waits for it."""


class RedisPokes(Pokes):
    """Over pub/sub; the message says who speaks, and nothing else.

    Args:
        client: Listens; `outbox` sends.
        outbox: Takes what is said.
        link: Knows whether the listening connection works.
        topic: What there is to read.
    """

    _PART: Final = "pokes"

    def __init__(self, client: Redis, outbox: Outbox, link: Link, topic: str) -> None:
        super().__init__()
        self._client = client
        self._outbox = outbox
        self._link = link
        self._origin = new_id()
        # Channels know no database number.
        self._channel = f"codelab:{topic}:{client.connection_pool.connection_kwargs.get('db', 0)}"
        outbox.on_open(self.tell)

    def tell(self) -> None:
        """See `Pokes`."""
        self._outbox.put(lambda pipe: pipe.publish(self._channel, self._origin))

    async def listen(self) -> None:
        """Listen until the connection is lost, then begin anew."""
        await self._link.keep(self._PART, self._listen)

    async def _listen(self) -> None:
        await hear(self._client, self._channel, begun=self._begun, told=self._hear)

    def _begun(self) -> None:
        self._link.works(self._PART)
        self.told.set()

    def _hear(self, origin: bytes) -> None:
        if origin != self._origin.encode():
            self.told.set()


@asynccontextmanager
async def open_pokes(redis_url: str | None, topic: str) -> AsyncIterator[Pokes]:
    """Open a channel, over Redis if there is a URL; a Redis that is down is no obstacle.

    Raises:
        ConfigError: The URL is none.
    """
    if redis_url is None:
        yield Pokes()
        return
    client, link = connect(redis_url), Link()
    outbox = Outbox(client, link)
    pokes = RedisPokes(client, outbox, link, topic)
    outbox.start()
    listening = asyncio.create_task(pokes.listen())
    try:
        yield pokes
    finally:
        await outbox.close()
        await end(listening)
        await client.aclose()
