"""Columns as PostgreSQL's binary arrays: rows of any number go into one prepared statement."""

from __future__ import annotations

from collections.abc import Sequence
from struct import pack
from typing import Any, ClassVar, Final

from psycopg import AsyncConnection
from psycopg.adapt import Dumper
from psycopg.pq import Format
from psycopg.rows import DictRow

_INT4, _TEXT, _BYTEA = 23, 25, 17
_NULL: Final = pack("!i", -1)


class Numbers(list[int]):
    """A column of int4[]."""


class Texts(list[str | None]):
    """A column of text[]."""


class Blobs(list[bytes | None]):
    """A column of bytea[]."""


class _Columns(Dumper):
    """Writes a column as the protocol wants it: a header, then each length with its bytes."""

    format = Format.BINARY
    element: ClassVar[int]

    def dump(self, obj: Sequence[Any]) -> bytes:
        """Encode a column."""
        if not obj:
            return pack("!iii", 0, 0, self.element)
        parts = [pack("!iiiii", 1, 1, self.element, len(obj), 1)]
        for value in obj:
            if value is None:
                parts.append(_NULL)
            else:
                data = self.encode(value)
                parts += (pack("!i", len(data)), data)
        return b"".join(parts)

    def encode(self, value: Any) -> bytes:
        """Encode a value."""
        return bytes(value)


class _Numbers(_Columns):
    oid, element = 1007, _INT4

    def encode(self, value: Any) -> bytes:
        return pack("!i", value)


class _Texts(_Columns):
    oid, element = 1009, _TEXT

    def encode(self, value: Any) -> bytes:
        return str(value).encode()  # LangGraph allows versions to be numbers


class _Blobs(_Columns):
    oid, element = 1001, _BYTEA


async def teach(connection: AsyncConnection[DictRow]) -> None:
    """Make a connection know the columns."""
    for column, dumper in ((Numbers, _Numbers), (Texts, _Texts), (Blobs, _Blobs)):
        connection.adapters.register_dumper(column, dumper)
