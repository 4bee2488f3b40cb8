"""How fast a key may ask: token buckets, refilled evenly, a minute's worth deep."""

from __future__ import annotations

from typing import Final

from ...core.errors import RateLimited

MINUTE: Final = 60.0


class Bucket:
    """Something that may be had so many times a minute.

    Args:
        per_minute: How often, and how many at once.
        now: Seconds, monotonic.
    """

    __slots__ = ("_level", "_seen", "per_minute")

    def __init__(self, per_minute: int, now: float) -> None:
        self.per_minute = per_minute
        self._level = float(per_minute)
        self._seen = now

    def wait(self, amount: float, now: float) -> float:
        """Seconds until `amount` can be had; 0 if now. More than the bucket holds is had when it is full."""
        self._level = min(self.per_minute, self._level + (now - self._seen) * self.per_minute / MINUTE)
        self._seen = now
        missing = min(amount, self.per_minute) - self._level
        return max(missing, 0.0) * MINUTE / self.per_minute

    def take(self, amount: float) -> None:
        """Take an amount, or with a negative one give it back; it may go below empty, and is then waited for."""
        self._level -= amount


class Limits:
    """Both limits of one key: requests, and tokens as far as they are known beforehand.

    Args:
        requests_per_minute: None is no limit.
        tokens_per_minute: Likewise.
        now: Seconds, monotonic.
    """

    __slots__ = ("_requests", "_tokens")

    def __init__(self, requests_per_minute: int | None, tokens_per_minute: int | None, now: float) -> None:
        self._requests = Bucket(requests_per_minute, now) if requests_per_minute else None
        self._tokens = Bucket(tokens_per_minute, now) if tokens_per_minute else None

    def fits(self, requests_per_minute: int | None, tokens_per_minute: int | None) -> bool:
        """Whether these are still the key's limits."""
        asked = self._requests.per_minute if self._requests else None
        used = self._tokens.per_minute if self._tokens else None
        return (asked, used) == (requests_per_minute, tokens_per_minute)

    def admit(self, tokens: int, now: float) -> None:
        """Count one request of about so many tokens.

        Raises:
            RateLimited: It comes too early; `extra["retry_after"]` tells by how many seconds. Nothing was counted.
        """
        if self._requests is not None and (wait := self._requests.wait(1, now)):
            raise _too_fast("requests", self._requests.per_minute, wait)
        if self._tokens is not None and (wait := self._tokens.wait(tokens, now)):
            raise _too_fast("tokens", self._tokens.per_minute, wait)
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(tokens)

    def correct(self, guessed: int, used: int) -> None:
        """Count the tokens that were used in place of those that were guessed."""
        if self._tokens is not None:
            self._tokens.take(used - guessed)


def _too_fast(what: str, per_minute: int, wait: float) -> RateLimited:
    return RateLimited(
        f"This key may use {per_minute} {what} a minute; try again in {wait:.1f} s.",
        code="rate_limit_exceeded",
        retry_after=wait,
    )
