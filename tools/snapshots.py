"""What a folder looked like: one private git tree per moment, so that a turn can be shown as a diff and undone.

In a git repository the tree lies in its object store under a ref of ours; a folder without git gets a shadow
repository in the data folder. An index of our own does the work: the person's index, HEAD and branches are never
touched. It is kept between moments, so that a folder which did not change costs one look at its file times.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path

from ..core.errors import Conflict
from .gitcmd import GitFailed, GitResult, git
from .workspaces import disk
from .workspaces.jail import Jail
from .workspaces.listing import CLUTTER

BIGGEST = 20_000_000
"""Files of more bytes are not kept; a turn that changes one cannot be undone there."""

STALE_S = 86_400
"""Indexes left by a process that died are removed after this many seconds."""


@dataclass(frozen=True, slots=True)
class _Store:
    """Where a folder's snapshots lie: the folder, the variables that lead git there, and an index to start from."""

    root: Path
    env: Mapping[str, str]
    index: Path
    shadow: bool

    def with_index(self, index: Path) -> _Store:
        return replace(self, env={**self.env, "GIT_INDEX_FILE": os.fspath(index)})

    async def git(self, *args: str, stdin: bytes | None = None, ok: Sequence[int] = (0,)) -> GitResult:
        return await git(self.root, *args, stdin=stdin, env=self.env, ok=ok)


@dataclass
class _Known:
    """What is known of one folder: our index of it, and the tree that index was last written as."""

    index: Path
    tree: str | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class Snapshots:
    """Takes, compares and restores snapshots.

    Args:
        data_dir: Where shadow repositories and our indexes go.
    """

    def __init__(self, data_dir: Path) -> None:
        self._shadows = data_dir.absolute() / "shadows"
        self._scratch = data_dir.absolute() / "scratch"
        self._indexes: tempfile.TemporaryDirectory[str] | None = None
        self._known: dict[str, _Known] = {}
        self._indexed: dict[tuple[Path, bool], _Known] = {}
        self._finding = threading.Lock()
        self._stores: dict[tuple[Path, bool], _Store] = {}

    async def take(self, root: Path, ref: str) -> str | None:
        """Keep the folder as it is now under `ref` (`refs/codelab/<thread>/<turn>/<before|after>`).

        Returns:
            The tree's id; None when git is not installed.
        """
        tree = await self.capture(root)
        if tree is not None:
            await self.keep(root, {ref: tree})
        return tree

    async def capture(self, root: Path) -> str | None:
        """Write the folder as it is now; `keep` names it. None when git is not installed."""
        if not _has_git():
            return None
        store = await self._store(root)
        known = self._indexed.get((root, store.shadow))
        if known is None:
            known = await asyncio.to_thread(self._index_of, store)
        async with known.lock:
            try:
                return await _written(store, known)
            except GitFailed:  # an index that git cannot read, say after a full disk, or that was swept: begin anew
                known.index.unlink(missing_ok=True)
                known.index.parent.mkdir(parents=True, exist_ok=True)
                known.tree = None
                return await _written(store, known)

    def knows(self, root: Path) -> bool:
        """Whether the folder was captured before, so that the next capture is one look at what changed since."""
        return any(known.tree is not None for name, known in self._known.items() if name.startswith(_name_of(root)))

    async def keep(self, root: Path, trees: Mapping[str, str]) -> None:
        """Name trees (ref → tree), so that git never throws them away."""
        lines = "".join(f"update {ref} {tree}\n" for ref, tree in trees.items())
        await (await self._store(root)).git("update-ref", "--stdin", stdin=lines.encode())

    async def find(self, root: Path, ref: str) -> str | None:
        """Find the tree that `ref` names; None when there is none."""
        found = await (await self._store(root)).git("rev-parse", "-q", "--verify", f"{ref}^{{tree}}", ok=(0, 1, 128))
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
        since = await _states(store, after, await self.capture(root) or after)
        if stale := sorted(changed.keys() & since.keys()):
            names = ", ".join(stale[:10])
            raise Conflict(f"changed since that turn, so it cannot be undone: {names}", code="stale_file")
        await asyncio.to_thread(_remove, root, [path for path, there in changed.items() if not there])
        await self._check_out(store, before, [path for path, there in changed.items() if there])
        return sorted(changed)

    async def _check_out(self, store: _Store, tree: str, paths: Sequence[str]) -> None:
        with tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True) as folder:
            scratch = store.with_index(Path(folder) / "index")
            await scratch.git("read-tree", tree)
            await scratch.git("checkout-index", "-f", "-q", "-z", "--stdin", stdin=_joined(paths))

    async def drop(self, root: Path, prefix: str) -> None:
        """Forget every snapshot whose ref starts with the folder `prefix` (`refs/codelab/<thread>`)."""
        store = await self._store(root)
        refs = (await store.git("for-each-ref", "--format=%(refname)", prefix)).text.split()
        await store.git("update-ref", "--stdin", stdin="".join(f"delete {ref}\n" for ref in refs).encode())

    async def _store(self, root: Path) -> _Store:
        shadow = self._shadows / f"{_name_of(root)}.git"
        # One that exists goes on to be used, even if the folder became a repository since.
        key = (root, shadow.is_dir() or (root / ".git").exists())
        if key not in self._stores:
            self._stores[key] = await self._found(root, shadow)
        return self._stores[key]

    async def _found(self, root: Path, shadow: Path) -> _Store:
        if not await asyncio.to_thread(shadow.is_dir):
            found = await git(root, "rev-parse", "--is-inside-work-tree", "--git-path", "index", ok=(0, 128))
            inside, _, index = found.text.strip().partition("\n")
            if inside == "true":
                return _Store(root, {}, root / index, shadow=False)
            await _make_shadow(root, shadow)
        return _Store(root, _led_to(shadow, root), shadow / "index", shadow=True)

    def _index_of(self, store: _Store) -> _Known:
        """Our index of a folder; the first one starts from the known one, for its file times."""
        name = f"{_name_of(store.root)}-{'shadow' if store.shadow else 'git'}"
        with self._finding:  # several threads at once: of two folders made, the one let go would take its files along
            if name not in self._known:
                if self._indexes is None:
                    self._scratch.mkdir(parents=True, exist_ok=True)
                    _sweep(self._scratch)
                    self._indexes = tempfile.TemporaryDirectory(dir=self._scratch, ignore_cleanup_errors=True)
                index = Path(self._indexes.name) / name
                with suppress(FileNotFoundError):
                    shutil.copy2(store.index, index)  # with its time: git trusts no file as young as its index
                self._known[name] = _Known(index)
            self._indexed[store.root, store.shadow] = self._known[name]
            return self._known[name]


async def _written(store: _Store, known: _Known) -> str:
    """Bring our index up to the folder and write its tree; nothing is written where nothing changed."""
    scratch = store.with_index(known.index)
    listed = await scratch.git("ls-files", "-z", "-m", "-d", "-o", "--exclude-standard")
    names = await asyncio.to_thread(_keepable, store.root, listed.names) if listed.stdout else ()
    if names:
        known.tree = None
        await scratch.git("update-index", "-z", "--add", "--remove", "--replace", "--stdin", stdin=_joined(names))
    if known.tree is None:
        known.tree = (await scratch.git("write-tree", "--missing-ok")).text.strip()
        if store.shadow:
            await asyncio.to_thread(_replace, known.index, store.index)
    return known.tree


def _replace(source: Path, target: Path) -> None:
    """Copy a file so that nobody ever sees half of it."""
    if source.exists():
        half = target.with_name(f"{target.name}.{os.getpid()}")
        shutil.copy2(source, half)
        half.replace(target)


def _sweep(scratch: Path) -> None:
    """Remove what dead processes left."""
    for folder in scratch.iterdir():
        if time.time() - folder.stat().st_mtime > STALE_S:
            shutil.rmtree(folder, ignore_errors=True)


def _has_git() -> bool:
    found = _git_in(os.environ.get("PATH"))
    if not found:
        _git_in.cache_clear()  # it may be installed any time
    return found


@cache
def _git_in(path: str | None) -> bool:
    return shutil.which("git", path=path) is not None


@lru_cache(maxsize=1000)
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
