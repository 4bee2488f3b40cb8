"""Which keys a file may have, told without asking it."""

from __future__ import annotations

import struct
from collections.abc import Collection


class KeyFilter:
    """A bit array (a Bloom filter): what was never added is said to be there about once in fifty times.

    Keys are digests, so their own last 16 bytes say where their bits are.

    Args:
        keys: What is in it at first; there is room for as many again.
        room: How many keys that holds for, at least.
    """

    def __init__(self, keys: Collection[bytes] = (), *, room: int = 100_000) -> None:
        room = max(room, 2 * len(keys))
        size = 1 << (room * 8 - 1).bit_length()
        self._mask = size - 1
        self._bits = bytearray(size // 8)
        self._room = room
        self._added = 0
        for key in keys:
            self.add(key)

    @property
    def is_full(self) -> bool:
        """Whether more was added than there is room for, what is long gone included."""
        return self._added > self._room

    def add(self, key: bytes) -> None:
        """Note a key."""
        self._added += 1
        for number in struct.unpack("<4I", key[-16:]):
            place = number & self._mask
            self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, key: bytes) -> bool:
        """Whether a key may have been added."""
        bits, mask = self._bits, self._mask
        return all(bits[(n & mask) >> 3] & (1 << (n & 7)) for n in struct.unpack("<4I", key[-16:]))
