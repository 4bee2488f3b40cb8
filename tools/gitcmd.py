"""The git command line as the service runs it: no hooks, no network, no pager, nothing of GIT_* inherited."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ..core.errors import InvalidInput, Unavailable

TIMEOUT_S = 120.0

_INHERITED = ("PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "USER", "LOGNAME")

_FIXED = {
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",  # a status must not rewrite the person's index
    "GIT_LITERAL_PATHSPECS": "1",  # `:(top)` and globs in a path are just odd file names
    "GIT_NO_REPLACE_OBJECTS": "1",
}

# A repository's own configuration can name programs to run; these are the ones our commands could reach.
_CONFIG = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.editor=true",
    "core.quotePath=false",
    "credential.helper=",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "protocol.allow=never",
    "safe.bareRepository=explicit",  # a folder that merely looks like a repository is not one
    "submodule.recurse=false",
    "gc.auto=0",
    "maintenance.auto=false",
)


_HARMLESS = ("clean=", "smudge=", "process=", "required=false")
_MOST_ROOTS = 500


class GitFailed(InvalidInput):
    """Git refused; the message carries what it said."""

    default_code = "git_failed"


@dataclass(frozen=True, slots=True)
class GitResult:
    """What git left behind: exit code, stdout as bytes, stderr as text."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output as text, undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")

    @property
    def names(self) -> list[str]:
        """The members of a `-z` listing; bytes that are not UTF-8 survive as `os.fsdecode` keeps them."""
        return [os.fsdecode(name) for name in self.stdout.split(b"\0") if name]


async def git(
    root: Path,
    *args: str,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
    ok: Sequence[int] = (0,),
) -> GitResult:
    """Run git in `root`; every pathspec is literal.

    Args:
        root: The folder to run in (`git -C`).
        args: Sub-command and arguments; put `--` before paths, `--no-ext-diff --no-textconv` after `diff`.
        stdin: Bytes for git; None gives it an empty one.
        env: Added to the small fixed environment (`GIT_INDEX_FILE`, `GIT_DIR`, …).
        ok: Exit codes that are answers; another raises `GitFailed`.

    Raises:
        GitFailed: Git exited with another code.
        Unavailable: Git is not installed, or took longer than `TIMEOUT_S`.
    """
    filters = () if env and "GIT_DIR" in env else await _own_filters(root)
    options = [part for item in (*_CONFIG, *filters) for part in ("-c", item)]
    argv = ["git", "--no-pager", "-C", os.fspath(root), *options, *args]
    code, out, err = await _communicate(argv, stdin or b"", _environment(env or {}))
    result = GitResult(code, out, err.decode("utf-8", "replace").strip())
    if code not in ok:
        name = next((arg for arg in args if not arg.startswith("-")), "")
        raise GitFailed(f"git {name} failed: {result.stderr or result.text.strip() or f'exit code {code}'}")
    return result


_FILTERS: dict[tuple[Path, int], tuple[str, ...]] = {}


async def _own_filters(root: Path) -> tuple[str, ...]:
    """Switch off the content filters that the repository's own configuration defines: each is a program to run.

    What the person configured for all their repositories (git-lfs, say) stays.
    """
    key = (root, await asyncio.to_thread(_config_time, root))
    if key not in _FILTERS:
        listing = ("config", "--includes", "--show-scope", "--name-only", "-z", "--get-regexp", r"^filter\..*")
        argv = ["git", "-C", os.fspath(root), *listing]
        _code, out, _err = await _communicate(argv, b"", _environment({}))
        fields = [os.fsdecode(field) for field in out.split(b"\0") if field]
        named = zip(fields[::2], fields[1::2], strict=False)
        own = {name.rpartition(".")[0] for scope, name in named if scope in {"local", "worktree"}}
        if len(_FILTERS) > _MOST_ROOTS:
            _FILTERS.clear()
        _FILTERS[key] = tuple(f"{name}.{part}" for name in sorted(own) for part in _HARMLESS)
    return _FILTERS[key]


def _config_time(root: Path) -> int:
    """When the configuration near `root` last changed; what lies elsewhere (a worktree's) is read each time anew."""
    for folder in (root, *root.parents):
        with suppress(OSError):
            return (folder / ".git" / "config").stat().st_mtime_ns
    return time.monotonic_ns()


async def is_repository(root: Path) -> bool:
    """Tell whether `root` lies in the work tree of a git repository."""
    result = await git(root, "rev-parse", "--is-inside-work-tree", ok=(0, 128))
    return result.stdout.strip() == b"true"


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**inherited, **_FIXED, **extra}


def _as_file(content: bytes) -> IO[bytes]:
    if not content:
        return Path(os.devnull).open("rb")
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller enters it
    file.write(content)
    file.seek(0)
    return file


async def _communicate(argv: Sequence[str], stdin: bytes, env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    try:
        return await asyncio.to_thread(_run, argv, stdin, env)
    except FileNotFoundError as exc:
        raise Unavailable("git is not installed on this machine: install it, then try again") from exc
    except subprocess.TimeoutExpired as exc:
        raise Unavailable(f"git took longer than {TIMEOUT_S:.0f} s and was stopped: narrow the request") from exc


def _run(argv: Sequence[str], stdin: bytes, env: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    # In a thread: event loops fork, which copies the page tables of a large process and stops the loop for ten
    # milliseconds; the standard library uses vfork.
    with _as_file(stdin) as source:
        done = subprocess.run(  # noqa: S603 - an argv of ours, no shell
            argv, stdin=source, capture_output=True, env=env, timeout=TIMEOUT_S, check=False, start_new_session=True
        )
    return done.returncode, done.stdout, done.stderr
