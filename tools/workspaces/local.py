"""A workspace on this machine."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from ...core.errors import InvalidInput
from ..globs import compile_glob
from ..processes import run_supervised
from ..workspace import MOST_BYTES, CommandResult, Location, Match
from . import disk, grep
from .jail import Jail, Parts, text
from .listing import entries_of, files_below


class LocalWorkspace:
    """A jailed folder of this machine; implements `tools.workspace.Workspace`.

    Args:
        root: The folder.
        id: The registered id.
        command_output_cap: Bytes of a command's output that are kept.
    """

    def __init__(self, root: Path, *, id: str, command_output_cap: int = 1_000_000) -> None:  # noqa: A002
        self._jail = Jail(root)
        self._id = id
        self._cap = command_output_cap

    @property
    def id(self) -> str:
        """The workspace's registered id."""
        return self._id

    @property
    def name(self) -> str:
        """The folder's name."""
        return self._jail.root.name or "/"

    @property
    def folder(self) -> Path:
        """The real folder."""
        return self._jail.root

    async def locate(self, path: str) -> Location:
        """Resolve a path inside the jail."""
        return await asyncio.to_thread(self._locate, path)

    async def read(self, path: str, *, limit: int = MOST_BYTES) -> bytes:
        """Read a regular file."""
        return await asyncio.to_thread(disk.read, self._jail, path, limit)

    async def look(self, path: str) -> tuple[Location, bytes | None]:
        """Resolve a path, and read what stands there unless it is a folder."""
        return await asyncio.to_thread(self._look, path)

    async def write(self, path: str, data: bytes) -> None:
        """Replace or create a file atomically."""
        await asyncio.to_thread(disk.write, self._jail, path, data)

    async def delete(self, path: str) -> None:
        """Delete a file or an empty folder; never the root."""
        await asyncio.to_thread(disk.delete, self._jail, path)

    async def move(self, source: str, target: str) -> None:
        """Move a file or folder inside the jail."""
        await asyncio.to_thread(disk.move, self._jail, source, target)

    async def make_dir(self, path: str) -> None:
        """Create a folder and its parents."""
        await asyncio.to_thread(disk.make_dir, self._jail, path)

    async def list(self, path: str, *, recursive: bool, limit: int) -> tuple[Sequence[str], int]:
        """List a folder, or every file below it that no ignore rule hides."""
        parts = await self._folder_parts(path)
        listed = await (
            files_below(self._jail, parts) if recursive else asyncio.to_thread(entries_of, self._jail, parts)
        )
        return listed[:limit], max(0, len(listed) - limit)

    async def search(
        self, pattern: str, *, path: str, glob: str | None, regex: bool, limit: int
    ) -> tuple[Sequence[Match], int]:
        """Search a file, or every file below a folder that no ignore rule hides."""
        compiled = grep.compile_pattern(pattern, regex=regex)
        where = await self.locate(path)
        if not where.exists:
            raise FileNotFoundError(f"there is no {path!r}: list its parent to see what there is")
        names: Sequence[str] = [where.path]
        if where.is_dir:
            names = await files_below(self._jail, _parts(where.path))
        if glob:
            names = _selected(names, glob, where.path)
        return await asyncio.to_thread(grep.search_files, self._jail, names, compiled, limit)

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
        """Run a program in its own process group with a cleared environment."""
        parts = await self._folder_parts(cwd)
        return await run_supervised(
            argv,
            cwd=self._jail.root.joinpath(*parts),
            env=env,
            timeout_s=timeout_s,
            stdin=stdin,
            on_start=on_start,
            cap=self._cap,
        )

    def _locate(self, path: str) -> Location:
        parts = self._jail.resolve(path)
        try:
            with self._jail.folder(parts[:-1]) as folder:
                # `name` cannot be a symlink unless it was swapped in just now: not followed either way.
                status = os.stat(parts[-1] if parts else ".", dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, InvalidInput):
            return Location(path, text(parts), exists=False, is_dir=False)
        return Location(path, text(parts), exists=True, is_dir=stat.S_ISDIR(status.st_mode))

    def _look(self, path: str) -> tuple[Location, bytes | None]:
        where = self._locate(path)
        return where, disk.read(self._jail, path, MOST_BYTES) if where.exists and not where.is_dir else None

    async def _folder_parts(self, path: str) -> Parts:
        where = await self.locate(path)
        if not where.exists:
            raise FileNotFoundError(f"there is no folder {path!r}: list its parent to see what there is")
        if not where.is_dir:
            raise InvalidInput(f"{path!r} is not a folder: name a folder", code="not_a_folder")
        return _parts(where.path)


def _selected(names: Sequence[str], glob: str, folder: str) -> list[str]:
    # People mean either the workspace's root or the folder they search.
    wanted = compile_glob(glob)
    prefix = f"{folder}/"
    return [
        name
        for name in names
        if wanted.fullmatch(os.fsencode(name)) or wanted.fullmatch(os.fsencode(name.removeprefix(prefix)))
    ]


def _parts(path: str) -> Parts:
    return () if path == "." else tuple(path.split("/"))
