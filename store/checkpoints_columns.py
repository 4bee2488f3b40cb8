"""Columns as PostgreSQL's binary arrays: rows of any number go into one prepared statement."""

from __future__ import annotations

from struct import pack
from typing import ClassVar, Final

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

    def dump(self, obj: list[int] | list[str | None] | list[bytes | None]) -> bytes:
        """Encode a column."""
        if not obj:
            return pack("!iii", 0, 0, self.element)
        parts = [pack("!iiiii", 1, 1, self.element, len(obj), 1)]
        for value in obj:
            if value is None:
                parts.append(_NULL)
            else:
                data = pack("!i", value) if isinstance(value, int) else _bytes(value)
                parts += (pack("!i", len(data)), data)
        return b"".join(parts)


class _Numbers(_Columns):
    oid, element = 1007, _INT4


class _Texts(_Columns):
    oid, element = 1009, _TEXT


class _Blobs(_Columns):
    oid, element = 1001, _BYTEA


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


async def teach(connection: AsyncConnection[DictRow]) -> None:
    """Make a connection know the columns."""
    for column, dumper in ((Numbers, _Numbers), (Texts, _Texts), (Blobs, _Blobs)):
        connection.adapters.register_dumper(column, dumper)
