"""Looking at the repository, branching and committing. Never pushes, never amends, never runs a hook."""

# ruff: noqa: D417 - `runtime` is no argument of the model's
from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from langchain.tools import ToolRuntime
from langchain_core.tools import tool

from ..core.errors import InvalidInput, Unavailable
from ..core.types import ToolGroup
from .commits import commit
from .context import RunContext
from .gitcmd import git, is_repository
from .gitrefs import check_branch, check_path, check_ref
from .guarded import is_secret
from .outputs import shown
from .redact import redact
from .spec import Effect, ToolSpec, Touched

_MOST_COMMITS = 200
_FORMAT = "--format=%h %ad %an: %s"
_DIFF = ("diff", "--no-ext-diff", "--no-textconv", "--no-color", "--relative")

Runtime = ToolRuntime[RunContext, Any]


async def _root(runtime: Runtime) -> Path:
    folder = runtime.context.workspace_handle.folder
    if folder is None:
        raise Unavailable("This workspace is not on this machine, so its git cannot be used; work with the files.")
    if not await is_repository(folder):
        raise InvalidInput("This workspace is not a git repository; work without the git tools.", code="not_git")
    return folder


@tool(parse_docstring=True)
async def git_status(runtime: ToolRuntime[RunContext, Any]) -> str:
    """Show the branch and the changed and untracked files."""
    result = await git(await _root(runtime), "status", "--short", "--branch", "--untracked-files=normal", "--", ".")
    branch, _, files = result.text.rstrip().partition("\n")
    return f"{branch}\n{await shown(files, runtime.context) if files else '(no changes)'}"


@tool(parse_docstring=True)
async def git_diff(
    runtime: ToolRuntime[RunContext, Any],
    ref: str | None = None,
    paths: list[str] | None = None,
    staged: bool = False,  # noqa: FBT001, FBT002 - a tool's argument
) -> str:
    """Show changes as a unified diff: of the working tree by default.

    Args:
        ref: A commit, branch or range (`main`, `HEAD~1`, `main...topic`) to compare with.
        paths: Only these files or folders.
        staged: What is staged instead of the working tree.
    """
    root = await _root(runtime)
    await _check_commits(root, ref or "")
    chosen = [*(["--cached"] if staged else []), *([check_ref(ref)] if ref else [])]
    named = [check_path(path) for path in paths or ["."]]
    names = (await git(root, *_DIFF, "--name-only", "-z", *chosen, "--", *named)).names
    secret = [name for name in names if is_secret(name)]
    if secret:
        named = [name for name in names if name not in secret]
    text = (await git(root, *_DIFF, *chosen, "--", *named)).text if named else ""
    note = f"\n({len(secret)} secret files are left out)" if secret else ""
    return (await shown(redact(text), runtime.context) if text else "(no changes)") + note


async def _check_commits(root: Path, ref: str) -> None:
    """Refuse a blob or tree: git would show any file's content, a secret one's too, under the name of another."""
    for side in filter(None, re.split(r"\.{2,3}", ref)):
        found = await git(root, "rev-parse", "--quiet", "--verify", f"{side}^{{commit}}", ok=(0, 1, 128))
        if found.code:
            raise InvalidInput(f"{side!r} is not a commit or branch of this repository.", code="bad_ref")


@tool(parse_docstring=True)
async def git_log(runtime: ToolRuntime[RunContext, Any], limit: int = 20, path: str = ".") -> str:
    """List commits, newest first: hash, date, author, subject.

    Args:
        limit: How many.
        path: Only commits that touch this file or folder.
    """
    count = min(max(limit, 1), _MOST_COMMITS)
    options = ("--no-color", "--no-show-signature", "--date=short", _FORMAT, f"--max-count={count}")
    result = await git(await _root(runtime), "log", *options, "--", check_path(path), ok=(0, 128))
    if result.code:
        return "(no commits yet)" if "does not have any commits" in result.stderr else f"git says: {result.stderr}"
    return await shown(redact(result.text.rstrip()), runtime.context) if result.text.strip() else "(no commits)"


@tool(parse_docstring=True)
async def git_branch(
    runtime: ToolRuntime[RunContext, Any],
    action: Literal["list", "create", "switch", "delete"] = "list",
    name: str = "",
) -> str:
    """List branches; create one at the current commit; switch to one; delete a merged one.

    Args:
        action: What to do. `create` does not switch to the new branch.
        name: The branch, for all but `list`.
    """
    root = await _root(runtime)
    if action == "list":
        result = await git(root, "branch", "--list", "--no-color", "--format=%(HEAD) %(refname:short)")
        return result.text.rstrip() or "(no branches: no commit yet)"
    branch = check_branch(name)
    if action == "create":
        await git(root, "branch", "--no-track", branch)
        return f"Created {branch}. Switch to it with action='switch'."
    if action == "switch":
        await git(root, "switch", "--no-guess", "--quiet", branch)
        return f"Now on {branch}."
    await git(root, "branch", "--delete", branch)
    return f"Deleted {branch}."


@tool(parse_docstring=True)
async def git_commit(message: str, runtime: ToolRuntime[RunContext, Any], paths: list[str] | None = None) -> str:
    """Commit the named files, new ones too; without paths, all changed files that git tracks.

    Args:
        message: Subject line, then if needed a blank line and a body.
        paths: Files or folders to commit, and nothing else.
    """
    if not message.strip():
        raise InvalidInput("The commit message is empty; say what changed and why.")
    return await commit(await _root(runtime), message, [check_path(path) for path in paths or []])


def _diff_touches(args: Mapping[str, Any]) -> Touched:
    if args.get("ref"):
        check_ref(args["ref"])
    return Touched(reads=[check_path(path) for path in args.get("paths") or []])


def _log_touches(args: Mapping[str, Any]) -> Touched:
    return Touched(reads=[check_path(args["path"])] if args.get("path") else [])


def _branch_action(args: Mapping[str, Any]) -> str:
    return str(args.get("action") or "list")


def _branch_touches(args: Mapping[str, Any]) -> Touched:
    if _branch_action(args) != "list":
        check_branch(args.get("name", ""))
    return Touched()


def _commit_touches(args: Mapping[str, Any]) -> Touched:
    return Touched(writes=[check_path(path) for path in args.get("paths") or []])


_BRANCH_GROUPS = dict.fromkeys(("create", "switch", "delete"), ToolGroup.GIT_WRITE)

SPECS = (
    ToolSpec(git_status, ToolGroup.GIT_READ),
    ToolSpec(git_diff, ToolGroup.GIT_READ, touches=_diff_touches),
    ToolSpec(git_log, ToolGroup.GIT_READ, touches=_log_touches),
    ToolSpec(git_branch, ToolGroup.GIT_READ, Effect.GIT, _branch_touches, _branch_action, _BRANCH_GROUPS),
    ToolSpec(git_commit, ToolGroup.GIT_WRITE, Effect.GIT, _commit_touches),
)
