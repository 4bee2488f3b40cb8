"""Which keys a file may have, told without asking it."""

from __future__ import annotations

import struct


class KeyFilter:
    """A bit array (a Bloom filter): what was never added is said to be there about once in fifty times.

    Keys are digests, so their own last 16 bytes say where their bits are.

    Args:
        room: How many keys that holds for.
    """

    def __init__(self, room: int = 100_000) -> None:
        bits = 1 << (room * 8 - 1).bit_length()
        self._mask = bits - 1
        self._bits = bytearray(bits // 8)

    def add(self, key: bytes) -> None:
        """Note a key."""
        for number in struct.unpack("<4I", key[-16:]):
            place = number & self._mask
            self._bits[place >> 3] |= 1 << (place & 7)

    def __contains__(self, key: bytes) -> bool:
        """Whether a key may have been added."""
        bits, mask = self._bits, self._mask
        return all(bits[(n & mask) >> 3] & (1 << (n & 7)) for n in struct.unpack("<4I", key[-16:]))
