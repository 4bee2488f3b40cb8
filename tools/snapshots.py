"""What a folder looked like: one private git commit per moment, so that a turn can be shown as a diff and undone.

In a git repository the commit lies in its object store under a ref of ours; a folder without git gets a shadow
repository in the data folder. A scratch index does the work: the person's index, HEAD and branches are never touched.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import Conflict
from .gitcmd import GitResult, git
from .workspaces import disk
from .workspaces.jail import Jail
from .workspaces.listing import CLUTTER

BIGGEST = 20_000_000
"""Files of more bytes are not kept; a turn that changes one cannot be undone there."""

_WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "CodeLab"), ("EMAIL", "codelab@localhost"), ("DATE", "2000-01-01T00:00:00Z"))
}


@dataclass(frozen=True, slots=True)
class _Store:
    """Where a folder's snapshots lie: the folder, the variables that lead git there, and an index to start from."""

    root: Path
    env: Mapping[str, str]
    index: Path
    shadow: bool

    async def git(self, *args: str, stdin: bytes | None = None, ok: Sequence[int] = (0,)) -> GitResult:
        return await git(self.root, *args, stdin=stdin, env=self.env, ok=ok)


class Snapshots:
    """Takes, compares and restores snapshots.

    Args:
        data_dir: Where shadow repositories and scratch indexes go.
    """

    def __init__(self, data_dir: Path) -> None:
        self._shadows = data_dir.absolute() / "shadows"
        self._scratch = data_dir.absolute() / "scratch"

    async def take(self, root: Path, ref: str) -> str | None:
        """Keep the folder as it is now under `ref` (`refs/codelab/<thread>/<turn>/<before|after>`).

        Returns:
            The commit's id; None when git is not installed.
        """
        if shutil.which("git") is None:
            return None
        store = await self._store(root)
        async with self._index_of_now(store) as scratch:
            tree = (await scratch.git("write-tree", "--missing-ok")).text.strip()
            if store.shadow:
                await asyncio.to_thread(shutil.copyfile, scratch.index, store.index)
        commit = await git(root, "commit-tree", tree, "-m", ref, env={**store.env, **_WHO})
        await store.git("update-ref", ref, name := commit.text.strip())
        return name

    async def find(self, root: Path, ref: str) -> str | None:
        """Find the commit that `ref` names; None when there is none."""
        found = await (await self._store(root)).git("rev-parse", "-q", "--verify", f"{ref}^{{commit}}", ok=(0, 1, 128))
        return found.text.strip() or None

    async def diff(self, root: Path, before: str, after: str) -> str:
        """Write what changed between two snapshots as one unified diff, paths relative to `root`."""
        options = ("-r", "-p", "-M", "--relative", "--no-color", "--no-ext-diff", "--no-textconv")
        prefixes = ("--src-prefix=a/", "--dst-prefix=b/")
        return (await (await self._store(root)).git("diff-tree", *options, *prefixes, before, after)).text

    async def changed(self, root: Path, before: str, after: str) -> list[str]:
        """Name the files that differ between two snapshots, relative to `root`."""
        return list(await _states(await self._store(root), before, after))

    async def restore(self, root: Path, before: str, after: str) -> list[str]:
        """Undo: put every file that changed between the two back to what it was before.

        Returns:
            The files put back or removed, relative to `root`.

        Raises:
            Conflict: `stale_file`; such a file changed since `after`, and nothing was touched.
        """
        store = await self._store(root)
        changed = await _states(store, before, after)
        async with self._index_of_now(store) as scratch:
            now = (await scratch.git("write-tree", "--missing-ok")).text.strip()
            since = await _states(store, after, now)
            stale = sorted(changed.keys() & since.keys())
            if stale:
                names = ", ".join(stale[:10])
                raise Conflict(f"changed since that turn, so it cannot be undone: {names}", code="stale_file")
            await asyncio.to_thread(_remove, root, [path for path, there in changed.items() if not there])
            back = [path for path, there in changed.items() if there]
            await scratch.git("read-tree", before)
            await scratch.git("checkout-index", "-f", "-q", "-z", "--stdin", stdin=_joined(back))
        return sorted(changed)

    async def drop(self, root: Path, prefix: str) -> None:
        """Forget every snapshot whose ref starts with the folder `prefix` (`refs/codelab/<thread>`)."""
        store = await self._store(root)
        refs = (await store.git("for-each-ref", "--format=%(refname)", prefix)).text.split()
        await store.git("update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in refs).encode())

    async def _store(self, root: Path) -> _Store:
        shadow = self._shadows / f"{_name_of(root)}.git"
        if not shadow.is_dir():  # one that exists goes on to be used, even if the folder became a repository since
            found = await git(root, "rev-parse", "--is-inside-work-tree", "--git-path", "index", ok=(0, 128))
            inside, _, index = found.text.strip().partition("\n")
            if inside == "true":
                return _Store(root, {}, root / index, shadow=False)
            await _make_shadow(root, shadow)
        return _Store(root, _led_to(shadow, root), shadow / "index", shadow=True)

    @asynccontextmanager
    async def _index_of_now(self, store: _Store) -> AsyncIterator[_Store]:
        """Fill a scratch index with the folder as it is, starting from the known one for its file times."""
        self._scratch.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True) as folder:
            index = Path(folder) / "index"
            with suppress(FileNotFoundError):
                await asyncio.to_thread(shutil.copyfile, store.index, index)
            scratch = _Store(store.root, {**store.env, "GIT_INDEX_FILE": os.fspath(index)}, index, store.shadow)
            listed = await scratch.git("ls-files", "-z", "-m", "-d", "-o", "--exclude-standard")
            names = await asyncio.to_thread(_keepable, store.root, listed.names)
            if names:
                await scratch.git(
                    "update-index", "-z", "--add", "--remove", "--replace", "--stdin", stdin=_joined(names)
                )
            yield scratch


def _name_of(root: Path) -> str:
    return hashlib.sha256(os.fsencode(os.path.realpath(root))).hexdigest()[:24]


def _led_to(shadow: Path, root: Path) -> dict[str, str]:
    return {"GIT_DIR": os.fspath(shadow), "GIT_WORK_TREE": os.path.realpath(root)}


async def _make_shadow(root: Path, shadow: Path) -> None:
    shadow.parent.mkdir(parents=True, exist_ok=True)
    await git(root, "init", "-q", env=_led_to(shadow, root))
    exclude = shadow / "info" / "exclude"
    exclude.parent.mkdir(exist_ok=True)
    exclude.write_text("".join(f"{name}/\n" for name in sorted(CLUTTER)))


async def _states(store: _Store, before: str, after: str) -> dict[str, bool]:
    """Map each file that differs to whether it was there before."""
    options = ("-r", "-z", "--relative", "--no-renames", "--name-status")
    names = (await store.git("diff-tree", *options, before, after)).names
    return {path: status != "A" for status, path in zip(names[::2], names[1::2], strict=True)}


def _keepable(root: Path, names: Sequence[str]) -> list[str]:
    # A nested repository ends in "/"; what is gone must be named so that it leaves the index.
    kept = []
    for name in dict.fromkeys(names):
        try:
            status = os.lstat(root / name)
        except (FileNotFoundError, NotADirectoryError):
            kept.append(name)
            continue
        small = stat.S_ISREG(status.st_mode) and status.st_size <= BIGGEST and os.access(root / name, os.R_OK)
        if small or stat.S_ISLNK(status.st_mode):
            kept.append(name)
    return kept


def _remove(root: Path, names: Sequence[str]) -> None:
    jail = Jail(root)
    for name in names:
        with suppress(FileNotFoundError):
            disk.delete(jail, name)
        with suppress(OSError, Conflict):  # the folders that became empty go too
            for parent in Path(name).parents[:-1]:
                disk.delete(jail, parent.as_posix())


def _joined(names: Sequence[str]) -> bytes:
    return b"".join(os.fsencode(name) + b"\0" for name in names)
