"""Redis as a comfort: whoever uses it goes on without it, comes back by itself, and says so once per outage."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ..core.errors import ConfigError

FIRST_DELAY_S: Final = 0.05
LONGEST_DELAY_S: Final = 2.0
TIMEOUT_S: Final = 2.0
"""A Redis that does not answer for this long is down."""
BLOCK_S: Final = 5.0
"""How long a reader waits before it asks anew."""
QUEUED: Final = 512
_TOGETHER: Final = 64
_FAREWELL_S: Final = 0.5
_PROBE: Final = "codelab:probe"

Write = Callable[[Pipeline], Any]

log = structlog.get_logger(__name__)


def connect(url: str) -> Redis:
    """Make a client that does not retry by itself; it connects when it is first used."""
    try:
        return Redis.from_url(
            url,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=BLOCK_S + TIMEOUT_S,
        )
    except ValueError as exc:
        raise ConfigError("CODELAB_REDIS__URL is not a URL; use redis://HOST:PORT/N or rediss://…") from exc


class Link:
    """Which of this process's connections work. An outage is logged once, and its end."""

    def __init__(self) -> None:
        self._up: set[str] = set()
        self._failing: set[str] = set()

    def works(self, part: str) -> None:
        """A part reached Redis."""
        if self._failing and self._failing <= {part}:
            log.info("redis_back")
        self._failing.discard(part)
        self._up.add(part)

    def fails(self, part: str, exc: Exception) -> bool:
        """A part lost Redis, or did not reach it; whether it had it before."""
        if not self._failing:
            log.warning("redis_lost", part=part, error=str(exc) or type(exc).__name__)
        self._failing.add(part)
        had, self._up = part in self._up, self._up - {part}
        return had

    def is_up(self, part: str) -> bool:
        """Whether a part has Redis."""
        return part in self._up

    async def keep(self, part: str, session: Callable[[], Awaitable[None]]) -> None:
        """Run a session again and again, each time a little later while it fails."""
        delay = FIRST_DELAY_S
        while True:
            try:
                await session()
            except (RedisError, OSError) as exc:
                delay = FIRST_DELAY_S if self.fails(part, exc) else min(delay * 2, LONGEST_DELAY_S)
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - spreads out who comes back


class Outbox:
    """What goes to Redis: nobody waits for it, and nothing is kept while Redis is down."""

    _PART = "outbox"

    def __init__(self, client: Redis, link: Link) -> None:
        self._client = client
        self._link = link
        self._queue: deque[Write] = deque(maxlen=QUEUED)
        self._filled = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._opened: list[Callable[[], None]] = []
        self._sending: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Whether what is put here has a chance."""
        return self._link.is_up(self._PART)

    def on_open(self, callback: Callable[[], None]) -> None:
        """Be told when Redis is there: at first, and after each outage, in which anything put here was lost."""
        self._opened.append(callback)

    def put(self, write: Write) -> None:
        """Send commands soon, if Redis is there; the oldest give way when it is slow."""
        if self.is_open:
            self._queue.append(write)
            self._filled.set()
            self._idle.clear()

    def start(self) -> None:
        """Begin to send."""
        self._sending = asyncio.create_task(self._link.keep(self._PART, self._send))

    async def close(self) -> None:
        """Send what is left, if that is quick, and stop."""
        if self._sending is None:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(_FAREWELL_S if self.is_open else 0):
                await self._idle.wait()
        await end(self._sending)

    async def _send(self) -> None:
        self._queue.clear()
        async with asyncio.timeout(TIMEOUT_S):
            await self._client.set(_PROBE, "", ex=60)  # not `PING`: a full or read-only Redis answers that
        self._link.works(self._PART)
        for callback in self._opened:
            callback()
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._queue:
                await self._send_some()
            self._idle.set()

    async def _send_some(self) -> None:
        async with self._client.pipeline(transaction=False) as pipe:
            for _ in range(min(len(self._queue), _TOGETHER)):
                self._queue.popleft()(pipe)
            async with asyncio.timeout(TIMEOUT_S):
                await pipe.execute()


async def hear(client: Redis, channel: str, *, begun: Callable[[], None], told: Callable[[bytes], None]) -> None:
    """Read a channel until the connection is lost; a silence is asked about.

    Args:
        client: Listens.
        channel: Its name.
        begun: Called once it listens: what was said before was missed.
        told: Called with each message.

    Raises:
        TimeoutError: Nobody answers any more; `RedisError` and `OSError` come as they are.
    """
    async with client.pubsub() as listening:
        await listening.subscribe(channel)
        silent = 0
        while True:
            heard = await listening.get_message(timeout=BLOCK_S)
            silent = 0 if heard else silent + 1
            if silent > 1:
                raise TimeoutError("no answer to a ping")
            if heard is None:
                await listening.ping()
            elif heard["type"] == "subscribe":
                begun()
            elif heard["type"] == "message":
                told(heard["data"])


async def end(task: asyncio.Task[None]) -> None:
    """Cancel a task and wait until it is gone; on Python 3.11 the client can swallow a cancellation."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=_FAREWELL_S)
