"""The jail: how a path that somebody named becomes an open file below a root, and never one elsewhere.

Two locks. `resolve` follows symlinks and refuses what ends outside the root; opening then walks from the root folder
component by component without following any symlink, so that one swapped in after the check leads nowhere. Names are
compared as they are: a look-alike character is another character. Everything here blocks; callers use a thread.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from ...core.errors import InvalidInput

Parts = tuple[str, ...]
"""A real path relative to the root, as its components; `()` is the root itself."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SWAPPED = (errno.ELOOP, errno.ENOTDIR)


def refused(named: str, why: str) -> InvalidInput:
    """Make the error for a path that cannot be accepted."""
    return InvalidInput(f"path refused: {named!r} {why}; name a path inside the workspace", code="path_refused")


class Jail:
    """Resolves and opens paths below one root.

    Args:
        root: The folder; it must exist when a path is opened.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))

    def resolve(self, named: str) -> Parts:
        """Follow every symlink of `named`, of what exists and of what does not yet; `path_refused` outside."""
        return self._inside(named, os.path.realpath(self._joined(named)))

    def entry(self, named: str) -> Parts:
        """As `resolve`, but name the last step itself, not what a symlink there points to; the root is refused."""
        joined = self._joined(named)
        folder, name = os.path.split(joined.rstrip("/"))
        real = os.path.join(os.path.realpath(folder), name)  # noqa: PTH118 - pathlib would fold `..` in the text
        if name in ("", ".", ".."):
            real = os.path.realpath(joined)
        parts = self._inside(named, real)
        if not parts:
            raise refused(named, "is the workspace itself")
        return parts

    @contextmanager
    def folder(self, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
        """Open a folder by its real parts; a symlink among them is refused.

        Args:
            parts: As `resolve` returned them.
            make: Create what is missing.
        """
        fd = os.open(self.root, _FOLDER)
        try:
            for done, part in enumerate(parts):
                inner = _step(fd, part, "/".join(parts[: done + 1]), make=make)
                os.close(fd)
                fd = inner
            yield fd
        finally:
            os.close(fd)

    def _joined(self, named: str) -> str:
        if not named.strip():
            raise refused(named, "is empty")
        if "\0" in named:
            raise refused(named, "holds a NUL byte")
        if named == "~" or named.startswith("~/"):
            raise refused(named, "is a home folder")
        try:
            os.fsencode(named)
        except UnicodeEncodeError as exc:
            raise refused(named, "cannot be a file name") from exc
        return os.path.join(self.root, named)  # noqa: PTH118 - as above

    def _inside(self, named: str, real: str) -> Parts:
        path = PurePosixPath(real)
        if not path.is_relative_to(self.root):
            raise refused(named, "leads outside the workspace")
        return path.relative_to(self.root).parts


def text(parts: Sequence[str]) -> str:
    """Write parts as a relative POSIX path (`.` for the root)."""
    return "/".join(parts) or "."


def _step(fd: int, part: str, so_far: str, *, make: bool) -> int:
    if make:
        with suppress(FileExistsError):
            os.mkdir(part, dir_fd=fd)
    try:
        return os.open(part, _FOLDER, dir_fd=fd)
    except FileNotFoundError as exc:
        raise FileNotFoundError(f"there is no folder {so_far!r}: list its parent to see what there is") from exc
    except OSError as exc:
        if exc.errno in _SWAPPED:
            raise InvalidInput(f"path refused: {so_far!r} is not a folder", code="path_refused") from exc
        raise
