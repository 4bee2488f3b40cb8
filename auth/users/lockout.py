"""How often somebody may try: each try counts before it is checked, so that none slips by in parallel."""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Final

import structlog
from limits import RateLimitItemPerSecond
from limits.aio.storage import RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from ...core.errors import ConfigError
from ...core.settings_auth import LockoutSettings
from .windows import Windows

log = structlog.get_logger(__name__)

TIMEOUT_S: Final = 0.5
"""A Redis that does not answer for this long is down."""
PAUSE_S: Final = 1.0
"""A Redis that is down is not asked for this long."""
MAILS: Final = 5
"""Mails that strangers can have sent to one address in a window; from one address four times as many."""

_CONNECTIONS: Final = 20

Limit = tuple[str, int]
"""A key and how often it may be used in a window."""


class Verdict(StrEnum):
    """Whether a try may go on."""

    FREE = "free"
    LOCKED = "locked"
    """It was the first that is refused in this window: worth a record."""
    STILL_LOCKED = "still_locked"


class Attempts:
    """Counts tries, in Redis for all processes together and in this one by itself: the stricter count holds.

    So a Redis that is lost takes nothing away that this process has seen.

    Args:
        settings: How many are too many.
        redis_url: Where processes count together; None: this one is alone.
        clock: Seconds, monotonic.
    """

    def __init__(
        self, settings: LockoutSettings, redis_url: str | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._here = Windows(settings.window_s, clock)
        self._pool = None if redis_url is None else _pool(redis_url)
        self._shared = None if self._pool is None else _limiter(str(redis_url), self._pool)
        self._lost_until: float | None = None

    async def take(self, email: str, address: str) -> Verdict:
        """Count a try of an account from an address, before anything is checked.

        The address comes first, then the two together, then the account: who is refused early takes nothing from
        what others have left, so no single address can lock a person out elsewhere.
        """
        account, place = _account(email), _place(address)
        limits = (
            (f"address:{place}", self._settings.attempts_per_address),
            (f"pair:{account}:{place}", self._settings.attempts),
            (f"account:{account}", self._settings.attempts_per_account),
        )
        return await self._take(limits)

    async def succeeded(self, email: str, address: str) -> None:
        """Forget the tries of an account from an address: the right password was given."""
        pair = f"pair:{_account(email)}:{_place(address)}"
        self._here.clear(pair)
        if self._shared is None or self._is_lost():
            return
        try:
            await self._shared.clear(self._item(self._settings.attempts), pair)
        except (RedisError, OSError) as exc:
            self._lose(exc)

    async def may_mail(self, email: str, address: str) -> bool:
        """Count a mail that somebody has sent to an account; whether it may go."""
        limits = ((f"mails-from:{_place(address)}", 4 * MAILS), (f"mails-to:{_account(email)}", MAILS))
        return await self._take(limits) is Verdict.FREE

    async def may(self, what: str, address: str, most: int) -> bool:
        """Count something else that strangers do from an address; whether they may, so often in a window."""
        return await self._take(((f"{what}:{_place(address)}", most),)) is Verdict.FREE

    async def close(self) -> None:
        """Give the connections back."""
        if self._pool is not None:
            await self._pool.disconnect()

    async def _take(self, limits: Sequence[Limit]) -> Verdict:
        for key, most in limits:
            if not (self._here.hit(key, most) and await self._hit_shared(key, most)):
                return Verdict.LOCKED if self._here.hit(f"told:{key}", 1) else Verdict.STILL_LOCKED
        return Verdict.FREE

    async def _hit_shared(self, key: str, most: int) -> bool:
        """Whether Redis lets it go; one that is down says nothing, and what was counted here holds."""
        if self._shared is None or self._is_lost():
            return True
        try:
            free = await self._shared.hit(self._item(most), key)
        except (RedisError, OSError) as exc:
            self._lose(exc)
            return True
        self._found()
        return free

    def _item(self, most: int) -> RateLimitItemPerSecond:
        return RateLimitItemPerSecond(most, self._settings.window_s, namespace="codelab")

    def _is_lost(self) -> bool:
        return self._lost_until is not None and self._clock() < self._lost_until

    def _lose(self, exc: Exception) -> None:
        if self._lost_until is None:
            log.warning("attempts_counted_locally", error=type(exc).__name__)
        self._lost_until = self._clock() + PAUSE_S

    def _found(self) -> None:
        if self._lost_until is not None:
            log.info("attempts_counted_together")
        self._lost_until = None


def _pool(url: str) -> BlockingConnectionPool:
    try:
        return BlockingConnectionPool.from_url(
            url,
            protocol=2,
            max_connections=_CONNECTIONS,
            timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
        )
    except ValueError as exc:
        raise ConfigError("CODELAB_REDIS__URL is not a URL; use redis://HOST:PORT/N or rediss://…") from exc


def _limiter(url: str, pool: BlockingConnectionPool) -> MovingWindowRateLimiter:
    given: Any = {"implementation": "redispy", "connection_pool": pool}  # its types know of numbers and texts only
    return MovingWindowRateLimiter(RedisStorage(f"async+{url}", key_prefix="codelab:attempts", **given))


def _account(email: str) -> str:
    """Stand-in for what was typed as an account: neither Redis nor this process keeps addresses."""
    return hashlib.sha256(email.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _place(address: str) -> str:
    """An address as one holder has it: of IPv6 everybody has a whole network."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    if found.version == 4:  # noqa: PLR2004 - a name of its own says nothing more
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((found, 64), strict=False).network_address)
