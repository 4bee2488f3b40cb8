"""Which files a workspace holds: as git sees them, or by a walk that leaves the usual clutter out."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Iterator
from itertools import islice

from ...core.errors import Unavailable
from ..gitcmd import GitFailed, git, is_repository
from .jail import Jail, Parts, text

CLUTTER = frozenset(
    [
        ".git",
        ".hg",
        ".svn",
        ".jj",
        ".venv",
        "venv",
        "node_modules",
        "__pycache__",
        ".tox",
        ".nox",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".hypothesis",
        ".cache",
        ".gradle",
        ".idea",
        ".next",
        ".terraform",
        ".eggs",
    ]
)
"""Folder names a walk does not enter where there is no ignore file to say so."""

MOST = 200_000
"""A walk stops after so many files."""


async def files_below(jail: Jail, parts: Parts) -> list[str]:
    """List the files below a folder, sorted, relative to the root; ignore rules hold unless the folder is ignored."""
    tracked = await _as_git_sees(jail, parts)
    if tracked is not None:
        return tracked
    return await asyncio.to_thread(_walk, jail, parts)


def entries_of(jail: Jail, parts: Parts) -> list[str]:
    """List one folder, sorted, relative to the root; folders end in `/`."""
    prefix = f"{text(parts)}/" if parts else ""
    with jail.folder(parts) as folder, os.scandir(folder) as entries:
        return sorted(
            f"{prefix}{entry.name}{'/' if entry.is_dir(follow_symlinks=False) else ''}"
            for entry in entries
            if entry.name != ".git"
        )


async def _as_git_sees(jail: Jail, parts: Parts) -> list[str] | None:
    try:
        if not await is_repository(jail.root):
            return None
        listed = await git(jail.root, "ls-files", "-co", "--exclude-standard", "-z", "--", text(parts))
    except (GitFailed, Unavailable):  # no git, an unreadable index, a path in a nested repository: look ourselves
        return None
    names = await asyncio.to_thread(_present, jail, listed.names)
    if not names and parts:
        ignored = await git(jail.root, "check-ignore", "-q", "--", text(parts), ok=(0, 1, 128))
        if ignored.code != 1:
            return None
    return names


def _present(jail: Jail, names: list[str]) -> list[str]:
    # The index also names deleted files, and a nested repository comes as one entry.
    root = os.fspath(jail.root)
    return sorted({name for name in names if _is_file(f"{root}/{name}")})


def _is_file(path: str) -> bool:
    try:
        return not stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def _walk(jail: Jail, parts: Parts) -> list[str]:
    with jail.folder(parts) as folder:
        return sorted(islice(_files(folder, "/".join(parts)), MOST))


def _files(folder: int, prefix: str) -> Iterator[str]:
    for base, folders, names, _fd in os.fwalk(".", dir_fd=folder):
        folders[:] = sorted(name for name in folders if name not in CLUTTER)
        inner = os.path.normpath(os.path.join(prefix, base))  # noqa: PTH118 - relative to a descriptor
        yield from (name if inner == "." else f"{inner}/{name}" for name in names)
