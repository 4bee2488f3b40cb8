"""Seats for calls to providers: so many in total and at one provider, a short queue, and people before batch work."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass
from typing import Literal

Priority = Literal["interactive", "batch"]


@dataclass(slots=True, eq=False)
class _Waiting:
    provider: str
    turn: asyncio.Future[bool]


class Seats:
    """Bounds the calls that are under way.

    Args:
        total: Calls at once.
        each: Calls at once to one provider.
        queue: Requests that may wait; one more is sent away, batch work first.
        batch_share: Part of the seats that batch work may take up; the others are kept for people.

    Attributes:
        shed: Requests that were sent away.
    """

    def __init__(self, *, total: int, each: int, queue: int, batch_share: float) -> None:
        self._total = total
        self._each = each
        self._longest = queue
        self._for_batch = max(1, int(total * batch_share)), max(1, int(each * batch_share))
        self._taken: Counter[str] = Counter()
        self._sum = 0
        self._queues: dict[Priority, deque[_Waiting]] = {"interactive": deque(), "batch": deque()}
        self.shed = 0

    @property
    def taken(self) -> int:
        """Calls under way."""
        return self._sum

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(map(len, self._queues.values()))

    def take(self, provider: str, priority: Priority = "interactive") -> bool:
        """Take a seat if one is free."""
        total, each = (self._total, self._each) if priority == "interactive" else self._for_batch
        if self._sum >= total or self._taken[provider] >= each:
            return False
        self._sum += 1
        self._taken[provider] += 1
        return True

    def release(self, provider: str) -> None:
        """Give a seat back; whoever waits for it has it."""
        self._sum -= 1
        self._taken[provider] -= 1
        if self._queues["interactive"] or self._queues["batch"]:
            self._call_up()

    async def wait(self, provider: str, priority: Priority, *, at_most_s: float) -> bool:
        """Wait in the queue for a seat; False if none came, or if people took the place of batch work."""
        if self.waiting >= self._longest and not self._make_room(priority):
            self.shed += 1
            return False
        mine = _Waiting(provider, asyncio.get_running_loop().create_future())
        self._queues[priority].append(mine)
        try:
            async with asyncio.timeout(at_most_s):
                got = await mine.turn
        except TimeoutError:
            got = self._leave(mine, priority)
        except asyncio.CancelledError:
            if self._leave(mine, priority):
                self.release(provider)
            raise
        self.shed += not got
        return got

    def _leave(self, waiting: _Waiting, priority: Priority) -> bool:
        """Leave the queue; True if the seat came at the same moment."""
        if waiting in self._queues[priority]:
            self._queues[priority].remove(waiting)
        return waiting.turn.done() and not waiting.turn.cancelled() and waiting.turn.result()

    def _make_room(self, priority: Priority) -> bool:
        """Send the latest batch request away for one of a person."""
        if priority == "batch" or not self._queues["batch"]:
            return False
        self._queues["batch"].pop().turn.set_result(False)
        return True

    def _call_up(self) -> None:
        """Give free seats to the first in the queues who can use them."""
        for priority, queue in self._queues.items():
            for waiting in list(queue):
                if waiting.turn.done():
                    continue
                if self.take(waiting.provider, priority):
                    queue.remove(waiting)
                    waiting.turn.set_result(True)
