"""Names given to git, checked before git sees them: none may be read as an option. Pure."""

from __future__ import annotations

import re

from ..core.errors import InvalidInput

_REF = re.compile(r"[A-Za-z0-9_@^][A-Za-z0-9_./@{}^~+-]{0,199}")
_BRANCH = re.compile(r"[^\W_][\w./-]{0,199}")


def check_ref(ref: str) -> str:
    """Let a commit, branch or range through; a file of another commit (`HEAD:path`) is none."""
    if not _REF.fullmatch(ref):
        raise InvalidInput(
            f"{ref!r} is not a commit, branch or range; name one such as main or HEAD~1.", code="bad_ref"
        )
    return ref


def check_branch(name: str) -> str:
    """Let a plain branch name through."""
    odd = ("..", "//", "/.", ".lock/")
    if not _BRANCH.fullmatch(name) or any(part in name for part in odd) or name.endswith(("/", ".", ".lock")):
        raise InvalidInput(f"{name!r} is not a branch name; use letters, digits, '-', '_' and '/'.", code="bad_ref")
    return name


def check_path(path: str) -> str:
    """Let a path through that git cannot read as an option."""
    if not path.strip() or path.startswith("-") or "\0" in path:
        raise InvalidInput(
            f"path refused: {path!r}; name a file of the workspace (./ before a dash)", code="path_refused"
        )
    return path
