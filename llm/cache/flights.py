"""Single flight: several requests for the same answer are one request upstream.

The answer is read by a task of its own, so that whoever asked first may leave without harm to the others. When the last
one leaves, the upstream is hung up on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from contextlib import aclosing, suppress
from typing import Final

from ..chat import Outcome
from ..errors import Interrupted
from ..events import Batch, Event, Reasoning, Text, ToolCall

Ask = Callable[[], AsyncGenerator[Batch, None]]
MAX_BYTES: Final = 8_000_000
_EVENT_BYTES: Final = 100


class Answer:
    """One upstream answer while it comes.

    Up to `max_bytes` everything is held for whoever comes later. Beyond, nobody can join any more; what everybody might
    still read is held to that size: the upstream waits for the fastest reader, and a reader who is that far behind the
    fastest is told that the answer broke off.

    Attributes:
        outcome: What becomes of the request that asked.
    """

    __slots__ = (
        "_ask",
        "_base",
        "_held",
        "_max_bytes",
        "_size",
        "_sizes",
        "_taken",
        "_waiting",
        "outcome",
        "seats",
        "task",
        "whole",
    )

    def __init__(self, ask: Ask, outcome: Outcome, *, max_bytes: int) -> None:
        self._ask = ask
        self.outcome = outcome
        self._max_bytes = max_bytes
        self._held: list[Batch] = []
        self._sizes: list[int] = []
        self._size = 0
        self._base = 0
        self._taken = 0
        self._waiting: list[asyncio.Future[None]] = []
        self.whole = False
        self.seats = 0
        self.task = asyncio.get_running_loop().create_task(self._read())
        self.task.add_done_callback(self._ended)

    @property
    def open(self) -> bool:
        """Whether somebody may still join: everything is here, or comes."""
        return not self._base and (self.whole or not self.task.done())

    def at(self, place: int) -> Batch | None:
        """Give a batch, None if it has not come yet or never will.

        Raises:
            Interrupted: The reader is too far behind.
        """
        place -= self._base
        if place < 0:
            raise Interrupted("The answer was read too slowly.")
        if place >= len(self._held):
            return None
        if place + self._base >= self._taken:
            self._taken = place + self._base + 1
            if self._size > self._max_bytes:
                self._wake()
        return self._held[place]

    async def more(self) -> bool:
        """Wait for something to come; False at the end.

        Raises:
            Exception: What the upstream raised.
        """
        if self.whole:
            return False
        if not self.task.done():
            await self._change()
            return True
        error = None if self.task.cancelled() else self.task.exception()
        if error is None:
            raise Interrupted("The server is shutting down.")
        raise error.with_traceback(None)  # each reader adds frames of its own

    async def _read(self) -> None:
        async with aclosing(self._ask()) as batches:
            async for batch in batches:
                size = _size(batch)
                self._held.append(batch)
                self._sizes.append(size)
                self._size += size
                self._wake()
                while self._size > self._max_bytes and not self._shrunk():
                    await self._change()
        self.whole = True
        self._wake()

    def _shrunk(self) -> bool:
        """Let go of what the fastest reader has; whether that is enough."""
        gone = 0
        while self._size > self._max_bytes and self._base + gone < self._taken:
            self._size -= self._sizes[gone]
            gone += 1
        self._base += gone
        del self._held[:gone], self._sizes[:gone]
        return self._size <= self._max_bytes

    async def _change(self) -> None:
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        await future

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            task.exception()  # it is every reader's, and nobody may be left to read
        self._wake()


class Seat:
    """One request's part in an answer."""

    __slots__ = ("_answer", "_flights", "_key", "_left", "_loop", "leads")

    def __init__(self, flights: Flights, key: Hashable, answer: Answer, *, leads: bool) -> None:
        self._flights = flights
        self._key = key
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._left = False
        self.leads = leads
        answer.seats += 1

    @property
    def outcome(self) -> Outcome:
        """What becomes of the request that asked."""
        return self._answer.outcome

    async def batches(self) -> AsyncIterator[Batch]:
        """Give all batches, from the first one; what the upstream raises is raised here."""
        answer, place = self._answer, 0
        try:
            while True:
                batch = answer.at(place)
                if batch is not None:
                    place += 1
                    yield batch
                elif not await answer.more():
                    return
        finally:
            self.leave()

    def leave(self) -> None:
        """Be counted no longer."""
        if not self._left:
            self._left = True
            self._flights.left(self._key, self._answer)

    def __del__(self) -> None:
        """A seat that nobody sat down on is given up; the collector may run in any thread."""
        if not self._left:
            with suppress(RuntimeError):  # the loop has ended
                self._loop.call_soon_threadsafe(self._flights.left, self._key, self._answer)


class Flights:
    """The answers that are on their way."""

    def __init__(self, *, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._answers: dict[Hashable, Answer] = {}
        self._closing: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._answers)

    def join(self, key: Hashable, ask: Ask, *, fresh: bool = False, outcome: Outcome | None = None) -> Seat:
        """Follow the answer to `key`, or ask for it.

        Args:
            key: What makes two requests the same.
            ask: Asks upstream; called at most once, in a task of its own.
            fresh: An answer that has already ended will not do.
            outcome: What becomes of this request, if it is the one that asks.
        """
        answer = self._answers.get(key)
        if answer is not None and answer.open and not (fresh and answer.whole):
            return Seat(self, key, answer, leads=False)
        answer = self._answers[key] = Answer(ask, outcome or Outcome(), max_bytes=self._max_bytes)
        return Seat(self, key, answer, leads=True)

    def left(self, key: Hashable, answer: Answer) -> None:
        """Take note that somebody has gone; the last one hangs up."""
        answer.seats -= 1
        if answer.seats:
            return
        if self._answers.get(key) is answer:
            del self._answers[key]
        if not answer.task.done():
            answer.task.cancel()
            self._closing.add(answer.task)
            answer.task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Hang up on everybody."""
        tasks = [*self._closing, *(answer.task for answer in self._answers.values())]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


def _size(batch: Batch) -> int:
    return len(batch.raw) if batch.raw is not None else sum(map(_weight, batch.events))


def _weight(event: Event) -> int:
    if isinstance(event, Text | Reasoning):
        return _EVENT_BYTES + len(event.text)
    return _EVENT_BYTES + len(event.arguments) if isinstance(event, ToolCall) else _EVENT_BYTES
