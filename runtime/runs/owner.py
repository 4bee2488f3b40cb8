"""Which process a run belongs to, and whether that process is still there."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from ...core.types import new_id


@dataclass(frozen=True, slots=True)
class Owner:
    """A process, named so that nobody mistakes another one for it.

    Attributes:
        host: The machine, and the process namespace in it: pids mean nothing elsewhere.
        pid: The process.
        started: When it started, in clock ticks; a pid used again has another.
        instance: Tells executors of one process apart.
    """

    host: str
    pid: int
    started: str
    instance: str

    @classmethod
    def here(cls) -> Owner:
        """Name this process, as a new executor."""
        return cls(_host(), os.getpid(), _started(os.getpid()) or "?", new_id()[-8:])

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Read a name back; None when it is not one."""
        parts = text.split("|")
        if len(parts) != 4 or not parts[1].isdigit():  # noqa: PLR2004 - the four attributes
            return None
        return cls(parts[0], int(parts[1]), parts[2], parts[3])

    def __str__(self) -> str:
        """Write the name as it stands on a row."""
        return f"{self.host}|{self.pid}|{self.started}|{self.instance}"

    @property
    def is_dead(self) -> bool:
        """True only when it ran on this host and certainly runs no more."""
        if self.host != _host():
            return False
        now = _started(self.pid)
        if now is not None:
            return now != self.started
        return not _exists(self.pid)


def _host() -> str:
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}{namespace}"


def _started(pid: int) -> str | None:
    """Read the start time from /proc; None where there is no /proc or no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else fields[19]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
