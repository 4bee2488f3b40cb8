"""Wake-ups across processes, over Redis pub/sub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from redis.asyncio import Redis

from .redis_link import Link, Outbox, end, hear
from .wakeups import MemoryWakeups

_READY: Final = "ready"
_CANCEL: Final = "cancel"

log = structlog.get_logger(__name__)


class RedisWakeups:
    """Wake-ups for this process at once, and for the others soon; after an outage everybody looks.

    Args:
        client: Listens; `outbox` sends.
        outbox: Takes what is said.
        link: Knows whether the listening connection works.
        origin: This process's name: what it said itself is not heard twice.
    """

    _PART = "wakeups"

    def __init__(self, client: Redis, outbox: Outbox, link: Link, *, origin: str) -> None:
        self._here = MemoryWakeups()
        self._client = client
        self._outbox = outbox
        self._link = link
        self._origin = origin
        # Channels know no database number.
        self._channel = f"codelab:wakeups:{client.connection_pool.connection_kwargs.get('db', 0)}"
        self._listening: asyncio.Task[None] | None = None
        outbox.on_open(lambda: self._say(_READY, ""))

    def start(self) -> None:
        """Begin to listen."""
        self._listening = asyncio.create_task(self._link.keep(self._PART, self._listen))

    async def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            await end(self._listening)

    def ready(self, run_id: str) -> None:
        """Tell every process."""
        self._here.ready(run_id)
        self._say(_READY, run_id)

    def cancel(self, run_id: str) -> None:
        """Tell every process."""
        self._here.cancel(run_id)
        self._say(_CANCEL, run_id)

    def on_ready(self, callback: Callable[[], None]) -> None:
        """Listen for pending runs, whichever process committed them."""
        self._here.on_ready(callback)

    def on_cancel(self, callback: Callable[[str], None]) -> None:
        """Listen for runs that shall stop, whichever process asks."""
        self._here.on_cancel(callback)

    def _say(self, what: str, run_id: str) -> None:
        message = f"{what} {self._origin} {run_id}"
        self._outbox.put(lambda pipe: pipe.publish(self._channel, message))

    async def _listen(self) -> None:
        await hear(self._client, self._channel, begun=self._begun, told=self._hear)

    def _begun(self) -> None:
        self._link.works(self._PART)
        asyncio.get_running_loop().call_soon(self._here.look)

    def _hear(self, data: bytes) -> None:
        message = data.decode(errors="replace")
        what, _, rest = message.partition(" ")
        origin, _, run_id = rest.partition(" ")
        if origin == self._origin:
            return
        # A callback's fault is the loop's to report; listening goes on.
        if what == _READY:
            asyncio.get_running_loop().call_soon(self._here.look)
        elif what == _CANCEL:
            asyncio.get_running_loop().call_soon(self._here.cancel, run_id)
