"""The door's memory: sessions that were checked lately."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from .schemas import KnownSession

FRESH_S: Final = 2.0
"""Seconds that a checked session is not looked up again: what another process ended is over after them."""
MOST: Final = 10_000


class Known:
    """Sessions by the hash of their cookie, the one used longest ago forgotten first.

    Args:
        clock: Seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._sessions: OrderedDict[str, tuple[KnownSession, float]] = OrderedDict()
        self.forgotten = 0
        """Counts up whenever a session is let go: what was read before may be older than that."""

    def get(self, digest: str) -> KnownSession | None:
        """Return a session while it is fresh."""
        found = self._sessions.get(digest)
        return None if found is None or self._clock() >= found[1] else found[0]

    def remember(self, digest: str, session: KnownSession, *, forgotten: int) -> None:
        """Keep what was read, unless a session was let go since `forgotten` was."""
        if forgotten != self.forgotten:
            return
        self._sessions[digest] = (session, self._clock() + FRESH_S)
        self._sessions.move_to_end(digest)
        while len(self._sessions) > MOST:
            self._sessions.popitem(last=False)

    def forget(self, *digests: str) -> None:
        """Let sessions go at once."""
        self.forgotten += 1
        for digest in digests:
            self._sessions.pop(digest, None)
