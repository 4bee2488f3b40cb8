"""Vectors of questions, and the nearest of them; needs numpy, so it is imported only where similar questions count."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]

_FIRST_ROWS: Final = 16
_OBSERVATIONS: Final = 64


class Row:
    """One stored question.

    Attributes:
        key: Of its answer.
        seen: What its comparisons came to: how similar the other question was, and whether the answers were the same.
    """

    __slots__ = ("key", "partition", "seen", "text")

    def __init__(self, *, text: str, key: bytes, partition: bytes) -> None:
        self.text = text
        self.key = key
        self.partition = partition
        self.seen: list[tuple[float, bool]] = []

    def note(self, similarity: float, *, same: bool) -> None:
        """Remember a comparison; the oldest give way."""
        self.seen.append((similarity, same))
        del self.seen[:-_OBSERVATIONS]


class Partition:
    """Questions that may answer for each other: everything but their wording is the same."""

    def __init__(self, dimensions: int) -> None:
        self.rows: list[Row] = []
        self._vectors: Vector = np.empty((_FIRST_ROWS, dimensions), np.float32)

    @property
    def dimensions(self) -> int:
        """How long its vectors are."""
        return int(self._vectors.shape[1])

    def add(self, vector: Vector, row: Row) -> None:
        """Add a question."""
        if len(self.rows) == len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty_like(self._vectors)])
        self._vectors[len(self.rows)] = vector
        self.rows.append(row)

    def remove(self, row: Row) -> None:
        """Remove a question; the last one takes its place."""
        place = self.rows.index(row)
        last = self.rows.pop()
        if last is not row:
            self.rows[place] = last
            self._vectors[place] = self._vectors[len(self.rows)]

    def nearest(self, vector: Vector, most: int) -> list[tuple[float, Row]]:
        """Give the most similar questions, the nearest first."""
        if not self.rows:
            return []
        similar = self._vectors[: len(self.rows)] @ vector
        places = np.argpartition(-similar, min(most, len(similar)) - 1)[:most]
        return sorted(((float(similar[p]), self.rows[p]) for p in places), key=lambda found: -found[0])


class Index:
    """All partitions; those of the least recently used give way when there are too many questions."""

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._partitions: OrderedDict[bytes, Partition] = OrderedDict()
        self._entries = 0

    def __len__(self) -> int:
        """How many questions there are."""
        return self._entries

    def nearest(self, partition: bytes, vector: Vector, most: int = 5) -> list[tuple[float, Row]]:
        """Give the most similar questions of a partition."""
        found = self._partitions.get(partition)
        if found is None or found.dimensions != len(vector):
            return []
        self._partitions.move_to_end(partition)
        return found.nearest(vector, most)

    def add(self, vector: Vector, row: Row) -> None:
        """Add a question."""
        found = self._partitions.get(row.partition)
        if found is None or found.dimensions != len(vector):  # another embedder: its vectors say nothing here
            self._entries -= len(found.rows) if found else 0
            found = self._partitions[row.partition] = Partition(len(vector))
        self._partitions.move_to_end(row.partition)
        found.add(vector, row)
        self._entries += 1
        while self._entries > self._max_entries:
            self._make_room()

    def remove(self, row: Row) -> None:
        """Remove a question, if it is still there."""
        found = self._partitions.get(row.partition)
        if found is not None and row in found.rows:
            found.remove(row)
            self._entries -= 1

    def _make_room(self) -> None:
        name, oldest = next(iter(self._partitions.items()))
        if len(self._partitions) > 1:
            del self._partitions[name]
            self._entries -= len(oldest.rows)
        else:
            oldest.remove(oldest.rows[0])
            self._entries -= 1


def unit(vector: Sequence[float]) -> Vector | None:
    """Make a vector of length 1; None if it has no direction."""
    made = np.asarray(vector, np.float32)
    length = float(np.linalg.norm(made)) if made.ndim == 1 else 0.0
    return made / length if np.isfinite(length) and length > 0 else None
