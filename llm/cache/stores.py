"""Where bytes are kept: one protocol, and the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from secrets import token_hex
from typing import Final, NamedTuple, Protocol

from msgspec import Struct

Clock = Callable[[], float]
Stamp = tuple[str, ...]
"""The generations of some tags; a bump gives a tag another one, and what carries the old one is dead."""

_OVERHEAD: Final = 300
"""Bytes that an entry takes beside its value."""
MOST_TAGS: Final = 50_000
EVERYTHING: Final = "*"
_DIGITS: Final = 17


class Bump(NamedTuple):
    """A tag got a generation."""

    tag: str
    generation: str
    at: float


class Figures(Struct, frozen=True):
    """How full a store is.

    Attributes:
        dropped: Writes that were given up: the store was down or too slow.
    """

    kind: str
    entries: int = 0
    bytes: int = 0
    evictions: int = 0
    dropped: int = 0


class Store(Protocol):
    """Keeps bytes under keys for some time, and the generations of tags; a value that is lost costs one answer."""

    def stamp(self, tags: Sequence[str]) -> Stamp | None:
        """Tell the generations of some tags, if that needs no waiting."""
        ...

    async def get(self, keys: Sequence[bytes], tags: Sequence[str] = ()) -> tuple[list[bytes | None], Stamp | None]:
        """Look keys up, and the generations of tags; None: they cannot be known now, and nothing may be kept."""
        ...

    def put(self, key: bytes, value: bytes, *, lives_s: float) -> None:
        """Keep a value, soon."""
        ...

    async def drop(self, key: bytes) -> bool:
        """Forget a key, at once; whether there was one.

        Raises:
            Unavailable: The store cannot be reached.
        """
        ...

    async def bump(self, tags: Sequence[str]) -> None:
        """Give tags a new generation, at once.

        Raises:
            Unavailable: The store cannot be reached, so old answers may still be given.
        """
        ...

    def figures(self) -> Figures:
        """Tell how full it is."""
        ...

    async def close(self) -> None:
        """Write what is left, and let go."""
        ...


class Generations:
    """The generations of tags: names that never come again, so that nothing dead comes back when one is forgotten.

    Args:
        lives_s: Nothing that carries a generation lives longer; nor needs a bump to be remembered longer.
    """

    def __init__(self, *, lives_s: float, clock: Clock = time.time, most: int = MOST_TAGS) -> None:
        self._lives_s = lives_s
        self._clock = clock
        self._most = most
        self._now: dict[str, Bump] = {}
        self._floor = ""

    def stamp(self, tags: Sequence[str]) -> Stamp:
        """Tell the generations."""
        now, floor = self._now, self._floor
        if not now:
            return (floor,) * len(tags)
        return tuple([now[tag].generation if tag in now else floor for tag in tags])

    def bump(self, tags: Sequence[str]) -> list[Bump]:
        """Give tags a new generation; more than was asked for if there are too many tags to remember."""
        told = [self._next(tag) for tag in tags]
        self._now |= {bump.tag: bump for bump in told}
        if len(self._now) > self._most:
            oldest = self._clock() - self._lives_s
            self._now = {tag: bump for tag, bump in self._now.items() if bump.at > oldest}
        if len(self._now) > self._most:  # everything dies, which is always right
            everything = self._next(EVERYTHING)
            self._now, self._floor = {}, everything.generation
            told = [everything]
        return told

    def learn(self, told: Iterable[Bump]) -> None:
        """Take over what somebody else bumped, unless we know better."""
        for bump in told:
            if bump.tag == EVERYTHING:
                self._floor = max(self._floor, bump.generation)
            elif bump.tag not in self._now or bump.generation > self._now[bump.tag].generation:
                self._now[bump.tag] = bump

    def _next(self, tag: str) -> Bump:
        at = self._clock()
        known = self._now[tag].generation if tag in self._now else self._floor
        number = max(int(at * 1e6), int(known[:_DIGITS] or 0) + 1)  # a clock may go backwards
        return Bump(tag, f"{number:0{_DIGITS}d}{token_hex(4)}", at)


class MemoryStore:
    """The least recently used give way, counted in bytes."""

    def __init__(self, *, max_bytes: int, generations: Generations, clock: Clock = time.time) -> None:
        self.generations = generations
        self._max_bytes = max_bytes
        self._clock = clock
        self._held: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._evictions = 0

    def stamp(self, tags: Sequence[str]) -> Stamp:
        """Tell the generations of tags."""
        return self.generations.stamp(tags)

    def peek(self, key: bytes) -> bytes | None:
        """Look a key up."""
        found = self._held.get(key)
        if found is None:
            return None
        if found[1] <= self._clock():
            self._remove(key)
            return None
        self._held.move_to_end(key)
        return found[0]

    async def get(self, keys: Sequence[bytes], tags: Sequence[str] = ()) -> tuple[list[bytes | None], Stamp | None]:
        """Look keys up, without waiting."""
        return [self.peek(key) for key in keys], self.generations.stamp(tags)

    def put(self, key: bytes, value: bytes, *, lives_s: float) -> None:
        """Keep a value; one that is larger than everything together may be is not kept."""
        self._remove(key)
        size = len(value) + _OVERHEAD
        if size > self._max_bytes or lives_s <= 0:
            return
        self._held[key] = (value, self._clock() + lives_s)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._remove(next(iter(self._held)))
            self._evictions += 1

    async def drop(self, key: bytes) -> bool:
        """Forget a key."""
        return self._remove(key)

    async def bump(self, tags: Sequence[str]) -> None:
        """Give tags a new generation."""
        self.generations.bump(tags)

    def figures(self) -> Figures:
        """Tell how full it is."""
        return Figures("memory", len(self._held), self._bytes, self._evictions)

    async def close(self) -> None:
        """Let go."""
        self._held.clear()
        self._bytes = 0

    def _remove(self, key: bytes) -> bool:
        found = self._held.pop(key, None)
        if found is None:
            return False
        self._bytes -= len(found[0]) + _OVERHEAD
        return True
