"""Server-sent events as bytes: whole frames out of whatever the socket gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from ..errors import Malformed

MAX_FRAME: Final = 16 * 1024 * 1024
_END: Final = b"\n\n"
_MANY: Final = 512


class Frames:
    """Cuts a stream at the ends of its frames; lines may end in LF, CRLF or CR, and are given with LF."""

    __slots__ = ("_held", "_parts", "_size")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._held = False  # a CR at the end, which an LF may follow

    def feed(self, data: bytes) -> bytes:
        """Take some bytes and return all frames that are whole by now, or nothing.

        Raises:
            Malformed: A frame has no end.
        """
        if self._held or b"\r" in data:
            data = self._unified(data)
        parts = self._parts
        if parts:
            if _END not in data and not (data[:1] == b"\n" and parts[-1][-1:] == b"\n"):
                self._keep(data)
                return b""
            parts.append(data)
            data = b"".join(parts)
            parts.clear()
            self._size = 0
        cut = data.rfind(_END)
        if cut < 0:
            self._keep(data)
            return b""
        cut += len(_END)
        if cut == len(data):
            return data
        self._keep(data[cut:])
        return data[:cut]

    def rest(self) -> bytes:
        """Return what came after the last whole frame, as a frame; nothing if it is blank."""
        left = b"".join(self._parts).strip(b"\n")
        self._parts.clear()
        return left + _END if left else b""

    def _keep(self, data: bytes) -> None:
        parts = self._parts
        if data:
            parts.append(data)
            self._size += len(data)
        if self._size > MAX_FRAME:
            raise Malformed("The model's stream has a frame without an end.")
        if len(parts) > _MANY:  # a slow drip must not cost an object for each byte
            parts[:] = [b"".join(parts)]

    def _unified(self, data: bytes) -> bytes:
        if self._held:
            data = b"\r" + data
        self._held = data.endswith(b"\r")
        if self._held:
            data = data[:-1]
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def frames(whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Give each frame's event name and data; comments and frames without data are left out."""
    for frame in whole.split(_END):
        name, data = "", []
        for line in frame.split(b"\n"):
            if line.startswith(b"data:"):
                data.append(line[6:] if line.startswith(b"data: ") else line[5:])
            elif line.startswith(b"event:"):
                name = line[6:].strip().decode("utf-8", "replace")
        if data:
            yield name, data[0] if len(data) == 1 else b"\n".join(data)
