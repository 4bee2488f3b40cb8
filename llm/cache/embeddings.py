"""Embeddings are the same each time: each text is asked for once."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from ..errors import Malformed
from .counters import Books
from .keys import FORMAT, digest
from .stores import Store

Input = str | list[int]
Vector = list[float]
AskVectors = Callable[[list[Input]], Awaitable[list[Vector]]]

_SINGLE: Final = b"f"
_DOUBLE: Final = b"d"


class Space(NamedTuple):
    """Where vectors are comparable: whose, of which model (`provider/model`), how long."""

    tenant: str
    model: str
    dimensions: int | None = None


class EmbeddingCache:
    """Vectors by text.

    Args:
        store: Where they are kept.
        ttl_s: How long.
        books: Counts, by tenant.
    """

    def __init__(self, store: Store, *, ttl_s: float, books: Books | None = None) -> None:
        self._store = store
        self._ttl_s = ttl_s
        self._books = books or Books()

    async def embed(self, texts: Sequence[Input], ask: AskVectors, *, space: Space) -> list[Vector]:
        """Give the vector of each text, in order; `ask` is called once, for those that are missing, each text once.

        Raises:
            Malformed: `ask` gave another number of vectors than it was asked for.
        """
        keys = [digest(space.tenant, [FORMAT, "embedding", *space[1:], text]) for text in texts]
        by_key = dict(zip(keys, texts, strict=True))
        values, _ = await self._store.get(list(by_key))
        found = {key: _unpack(value) for key, value in zip(by_key, values, strict=True) if value}
        missing = [key for key in by_key if key not in found]
        counters = self._books.of(space.tenant)
        counters.embedded += len(texts)
        counters.embeddings_asked += len(missing)
        if missing:
            vectors = await ask([by_key[key] for key in missing])
            if len(vectors) != len(missing):
                raise Malformed("The embedding model gave another number of vectors than it was asked for.")
            for key, vector in zip(missing, vectors, strict=True):
                found[key] = vector
                self._store.put(key, _pack(vector), lives_s=self._ttl_s)
        return [found[key] for key in keys]


def _pack(vector: Vector) -> bytes:
    """Write a vector so that exactly the same numbers come back: in four bytes each where that is enough."""
    single = array("f", vector)
    return _SINGLE + single.tobytes() if single.tolist() == vector else _DOUBLE + array("d", vector).tobytes()


def _unpack(value: bytes) -> Vector:
    return array("f" if value[:1] == _SINGLE else "d", value[1:]).tolist()
