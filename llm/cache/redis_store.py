"""Answers in Redis: shared by all processes, and so are the generations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import structlog
from redis.exceptions import RedisError

from ...core.errors import Unavailable
from ...store.redis_link import Link, Outbox
from .stores import Clock, Figures, Stamp

if TYPE_CHECKING:
    from redis.asyncio import Redis

_PREFIX: Final = b"codelab:llm:"
_TAG: Final = b"codelab:llm:tag:"
_WAIT_S: Final = 0.25
"""A Redis that is slower than this is no cache."""
_PAUSE_S: Final = 1.0
"""After a failure nobody asks for so long."""
_FAILURES: Final = (RedisError, OSError, TimeoutError)

log = structlog.get_logger(__name__)


class RedisStore:
    """One round trip a look-up, its generations included; without Redis there is no answer, and no error.

    A generation lives as long as anything that may carry an older one, so nothing is left behind. Let Redis evict
    nothing, or what dies soonest (`volatile-ttl`).

    Args:
        client: Redis; closed with the store.
        lives_s: A generation is remembered this long; no value lives longer.
        clock: Monotonic.
    """

    def __init__(self, client: Redis, *, lives_s: float, clock: Clock = time.monotonic) -> None:
        self._client = client
        self._lives_s = max(1, int(lives_s))
        self._clock = clock
        self._link = Link()
        self._outbox = Outbox(client, self._link)
        self._started = False
        self._down_until = float("-inf")
        self._dropped = 0

    def stamp(self, tags: Sequence[str]) -> Stamp | None:
        """Redis has to be asked, unless there are no tags."""
        return None if tags else ()

    async def get(self, keys: Sequence[bytes], tags: Sequence[str] = ()) -> tuple[list[bytes | None], Stamp | None]:
        """Look keys and generations up, together."""
        self._start()
        nothing: tuple[list[bytes | None], Stamp | None] = [None] * len(keys), None
        if self._clock() < self._down_until:
            return nothing
        names = [*(_PREFIX + key for key in keys), *map(_tag, tags)]
        try:
            async with asyncio.timeout(_WAIT_S):
                found: Sequence[Any] = await self._client.mget(names) if names else []
        except _FAILURES as exc:
            self._failed(exc)
            return nothing
        self._link.works("llm_cache")
        return list(found[: len(keys)]), tuple([(told or b"").decode() for told in found[len(keys) :]])

    def put(self, key: bytes, value: bytes, *, lives_s: float) -> None:
        """Send a value, soon; while Redis is down it is not kept."""
        self._start()
        millis = int(min(lives_s, self._lives_s) * 1000)
        if millis <= 0:
            return
        if not self._outbox.is_open:
            self._dropped += 1
            return
        self._outbox.put(lambda pipe: pipe.set(_PREFIX + key, value, px=millis))

    async def drop(self, key: bytes) -> bool:
        """Forget a key, in Redis."""
        try:
            async with asyncio.timeout(_WAIT_S * 4):
                return bool(await self._client.delete(_PREFIX + key))
        except _FAILURES as exc:
            raise _unreachable() from exc

    async def bump(self, tags: Sequence[str]) -> None:
        """Give tags a new generation, for every process."""
        try:
            async with asyncio.timeout(_WAIT_S * 4), self._client.pipeline(transaction=True) as pipe:
                for tag in tags:
                    pipe.set(_tag(tag), token_hex(12), ex=self._lives_s)
                await pipe.execute()
        except _FAILURES as exc:
            raise _unreachable() from exc

    def figures(self) -> Figures:
        """Redis counts for itself (`INFO`)."""
        return Figures("redis", dropped=self._dropped)

    async def close(self) -> None:
        """Send what waits, if that is quick."""
        await self._outbox.close()
        await self._client.aclose()

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._outbox.start()

    def _failed(self, exc: Exception) -> None:
        self._link.fails("llm_cache", exc)
        self._down_until = self._clock() + _PAUSE_S


def _tag(tag: str) -> bytes:
    return _TAG + tag.encode("utf-8", "surrogatepass")


def _unreachable() -> Unavailable:
    return Unavailable("Redis cannot be reached, so nothing was forgotten; try again.")
