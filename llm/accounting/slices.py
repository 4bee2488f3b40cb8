"""What this process holds of an account, and spends without asking the database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from .limits import Account, Limit

MOST: Final = 10**17
"""A hundred million dollars: no limit is higher and no request counts for more; their sums fit the database."""


class Slice:
    """A part of an account's money, in nano-dollars.

    What the database has as held is `room` + what is in flight + `spent`. All methods are synchronous: what they do
    happens at once, for everybody in this process.

    Args:
        limit: Whose account.
        account: Which.
        urgent: Called when something must be written soon.

    Attributes:
        room: Free for requests.
        flying: Requests that hold a part.
        spent: Settled, and not yet written.
        over: Settled beyond what was held, and not yet written.
        rest: What the database had left for everybody, when last seen.
        size: What to ask for next time.
        grew: When it last asked; `used` when a request last did.
        lease: The row that says what is held; None if nothing.
        lost: Whether the row is gone, or in doubt: what it held counts as spent.
    """

    __slots__ = (
        "account",
        "flying",
        "grew",
        "lease",
        "limit",
        "lost",
        "over",
        "rest",
        "room",
        "size",
        "spent",
        "urgent",
        "used",
    )

    def __init__(self, limit: Limit, account: Account, urgent: Callable[[], None]) -> None:
        self.limit = limit
        self.account = account
        self.urgent = urgent
        self.room = self.flying = self.spent = self.over = self.size = 0
        self.rest = limit.amount
        self.grew = self.used = 0.0
        self.lease: str | None = None
        self.lost = False

    @property
    def idle(self) -> bool:
        """Whether nothing is held and nothing is to be written."""
        return not (self.room or self.flying or self.spent or self.over)

    def settle(self, most: int, cost: int) -> None:
        """Turn what a request held into what it cost; more comes out of the room, or is written through."""
        self.flying -= 1
        if cost <= most:
            self.room += most - cost
            self.spent += cost
            return
        more = min(self.room, cost - most)
        self.room -= more
        self.spent += most + more
        if cost > most + more:
            self.over += cost - most - more
            self.urgent()

    def want(self, short: int, now: float) -> int:
        """Say how much to ask for: more the sooner it is used up, little of what is left, never less than needed."""
        if now - self.grew < 1:
            self.size *= 2
        elif now - self.grew > 10:  # noqa: PLR2004 - seconds
            self.size //= 2
        self.grew = now
        self.size = max(self.size, 4 * short)
        return max(short, min(self.size, self.rest // 8))


class Held:
    """Room for one request in every budget it counts against.

    Args:
        slices: Each has the room.
        most: How much of each.
    """

    __slots__ = ("_most", "_slices")

    def __init__(self, slices: Sequence[Slice], most: int) -> None:
        self._slices = slices
        self._most = most
        for each in slices:
            each.room -= most
            each.flying += 1

    def settle(self, cost: int) -> None:
        """Replace what was reserved by what it cost, in nano-dollars; what comes after the first time is ignored."""
        slices, self._slices = self._slices, ()
        for each in slices:
            each.settle(self._most, min(max(cost, 0), MOST))


class Unlimited:
    """The reservation of a request that no budget concerns."""

    __slots__ = ()

    def settle(self, cost: int) -> None:
        """Nobody counts."""


UNLIMITED = Unlimited()
