"""Making one commit of exactly the files that were named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.errors import InvalidInput
from .gitcmd import git
from .guarded import is_secret

_MOST_NAMED = 20
_FROM_STDIN = ("--pathspec-from-file=-", "--pathspec-file-nul")


async def commit(root: Path, message: str, paths: Sequence[str]) -> str:
    """Commit what changed in `paths` (none: in all tracked files), leaving whatever else is staged as it is.

    Args:
        root: The workspace's folder.
        message: The whole commit message.
        paths: Files or folders relative to `root`; untracked ones are added, ignored and secret ones are not.

    Raises:
        InvalidInput: Nothing to commit there, or git refused.
    """
    names = [name for name in await _changed(root, paths) if not is_secret(name)]
    if not names:
        where = f"in {', '.join(paths)}" if paths else "in the files git tracks; name new files in paths"
        raise InvalidInput(f"There is nothing to commit {where}.", code="nothing_to_commit")
    listing = "\0".join(names).encode("utf-8", "surrogateescape")
    await git(root, "add", "--all", *_FROM_STDIN, stdin=listing)
    options = ("--quiet", "--only", "--no-verify", "--allow-empty-message", f"--message={message}")
    await git(root, "commit", *options, *_FROM_STDIN, stdin=listing, env=await _author(root))
    head = (await git(root, "log", "-1", "--no-show-signature", "--format=%h %s")).text.strip()
    branch = (await git(root, "branch", "--show-current")).text.strip() or "a detached HEAD"
    listed = "\n".join(names[:_MOST_NAMED]) + ("\n…" if len(names) > _MOST_NAMED else "")
    return f"Committed {head} on {branch}, {len(names)} file(s):\n{listed}"


async def _changed(root: Path, paths: Sequence[str]) -> list[str]:
    """List what differs from the last commit, staged or not, and below named paths what is new."""
    which = ["--modified", "--deleted", *(["--others", "--exclude-standard"] if paths else [])]
    where = ("--", *(paths or ["."]))
    listed = (await git(root, "ls-files", "-z", *which, *where)).names
    staged = (await git(root, "diff", "--cached", "--name-only", "--no-renames", "--relative", "-z", *where)).names
    return sorted({*listed, *staged})


async def _author(root: Path) -> dict[str, str]:
    """Name the product as author where the repository's configuration names nobody."""
    found = await git(root, "config", "--get", "user.email", ok=(0, 1))
    if found.text.strip():
        return {}
    who = {"NAME": "CodeLab", "EMAIL": "codelab@localhost"}
    return {f"GIT_{role}_{part}": value for role in ("AUTHOR", "COMMITTER") for part, value in who.items()}
