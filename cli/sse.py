"""Reading server-sent events (WHATWG HTML, section 9.2): bytes in, events with their ids out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sent:
    """One event: the last id seen, and the data."""

    id: str
    data: str


class Parser:
    """Takes pieces of a stream as they come. Lines end in LF or CRLF, as our servers write them."""

    def __init__(self) -> None:
        self._rest = b""
        self._id = ""
        self._data: list[str] = []

    def feed(self, piece: bytes) -> Iterator[Sent]:
        """Yield the events that are complete now."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for raw in lines:
            line = raw.removesuffix(b"\r").decode("utf-8", "replace")
            if line:
                self._field(line)
            elif self._data:
                yield Sent(self._id, "\n".join(self._data))
                self._data = []

    def _field(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
