"""The seam to the folder an agent works in. `workspaces/local` is the one on this machine; an IDE's comes later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Location:
    """Where a named path really is.

    Attributes:
        named: What the caller wrote.
        path: Real, normalised, relative to the root, POSIX (`.` for the root itself); symlinks resolved.
        exists: Whether something is there now.
        is_dir: Whether that something is a folder.
    """

    named: str
    path: str
    exists: bool
    is_dir: bool


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command left behind.

    Attributes:
        exit_code: The command's own, or None when it was killed by its time-out.
        output: stdout and stderr as they came, decoded with replacement, at most the workspace's cap.
        truncated: Bytes dropped beyond the cap.
        duration_s: Wall time in seconds.
        timed_out: Whether the time-out ended it.
    """

    exit_code: int | None
    output: str
    truncated: int
    duration_s: float
    timed_out: bool


MOST_BYTES = 10_000_000
"""Of a file that is read whole."""


@dataclass(frozen=True, slots=True)
class Match:
    """One hit of a search: path, line number from 1, the line (cut to a sane length)."""

    path: str
    line: int
    text: str


class Workspace(Protocol):
    """A jailed folder. Every path is relative to its root; one that leaves it raises `InvalidInput` `path_refused`.

    Files are opened without following a symlink at the last step. No method raises for a missing optional thing;
    a missing file raises `FileNotFoundError`.
    """

    @property
    def id(self) -> str:
        """The workspace's registered id."""
        ...

    @property
    def name(self) -> str:
        """What a person calls it (the folder's name)."""
        ...

    @property
    def folder(self) -> Path | None:
        """The real folder where it lies on this machine, for git; None where it lives elsewhere."""
        ...

    async def locate(self, path: str) -> Location:
        """Resolve a path inside the jail."""
        ...

    async def read(self, path: str, *, limit: int = MOST_BYTES) -> bytes:
        """Read a regular file of at most `limit` bytes (`TooLarge` beyond)."""
        ...

    async def look(self, path: str) -> tuple[Location, bytes | None]:
        """Resolve a path, and read what stands there unless it is a folder."""
        ...

    async def write(self, path: str, data: bytes) -> None:
        """Replace or create a file atomically, parents made, mode kept."""
        ...

    async def delete(self, path: str) -> None:
        """Delete a file or an empty folder; never the root."""
        ...

    async def move(self, source: str, target: str) -> None:
        """Move a file or folder inside the jail; an existing target is refused."""
        ...

    async def make_dir(self, path: str) -> None:
        """Create a folder and its parents."""
        ...

    async def list(self, path: str, *, recursive: bool, limit: int) -> tuple[Sequence[str], int]:
        """List entries (folders end in `/`), honouring ignore rules when recursive; and how many were left out."""
        ...

    async def search(
        self, pattern: str, *, path: str, glob: str | None, regex: bool, limit: int
    ) -> tuple[Sequence[Match], int]:
        """Search text files with a linear-time engine; the hits and how many were left out."""
        ...

    async def run(
        self,
        argv: Sequence[str],
        *,
        cwd: str = ".",
        timeout_s: float,
        env: Mapping[str, str] | None = None,
        stdin: bytes | None = None,
        on_start: Callable[[int], Awaitable[None]] | None = None,
    ) -> CommandResult:
        """Run a program in its own process group with a cleared environment.

        Args:
            argv: Program and arguments; no shell unless the caller names one.
            cwd: A folder inside the jail.
            timeout_s: Seconds until the whole group is killed.
            env: Added to the small fixed environment.
            stdin: Bytes for the program; None gives it an empty one.
            on_start: Told the process group id once the program runs, before its output is read.
        """
        ...


class Glance:
    """A workspace in which every look at a path sees what the first one saw; for a moment's use, by one task.

    Args:
        workspace: What is looked at; everything else goes on to it.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._seen: dict[str, tuple[Location, bytes | None]] = {}

    async def look(self, path: str) -> tuple[Location, bytes | None]:
        """Resolve a path and read what stands there, once."""
        if path not in self._seen:
            self._seen[path] = await self._workspace.look(path)
        return self._seen[path]

    def __getattr__(self, name: str) -> Any:
        """Hand everything else on."""
        return getattr(self._workspace, name)
