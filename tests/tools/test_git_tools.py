"""The git tools on real repositories."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codelab.core.errors import CodeLabError, InvalidInput
from codelab.tools.git import git_branch, git_commit, git_diff, git_log, git_status
from codelab.tools.gitrefs import check_branch, check_path, check_ref
from tests.support.repos import git, make_repo
from tests.support.toolkit import caller, run_context


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    path = tmp_path / "repo"
    path.mkdir()
    return make_repo(path, {"a.txt": "one\n", "b.txt": "two\n", "sub/c.txt": "three\n"})


@pytest.fixture
def call(repo: Path) -> Callable[..., Any]:
    return caller(run_context(repo))


async def test_status_and_diff(repo: Path, call: Callable[..., Any]) -> None:
    assert await call(git_status) == "## main\n(no changes)"
    assert await call(git_diff) == "(no changes)"
    (repo / "a.txt").write_text("1\n")
    (repo / "new.txt").write_text("new\n")
    assert await call(git_status) == "## main\n M a.txt\n?? new.txt"
    assert "-one\n+1\n" in await call(git_diff)
    assert await call(git_diff, paths=["b.txt"]) == "(no changes)"
    assert await call(git_diff, staged=True) == "(no changes)"
    git(repo, "add", "a.txt")
    assert "-one\n+1\n" in await call(git_diff, staged=True)
    assert "-one\n+1\n" in await call(git_diff, ref="HEAD")


async def test_a_diff_leaves_secrets_out(repo: Path, call: Callable[..., Any]) -> None:
    for name in (".env", "a.txt"):
        (repo / name).write_text("TOKEN=abc\n")
    git(repo, "add", "-A", "-f")
    shown = await call(git_diff, ref="HEAD")
    assert ".env" not in shown
    assert "a.txt" in shown
    assert "1 secret files are left out" in shown
    git(repo, "commit", "-qm", "x")
    (repo / ".env").write_text("TOKEN=def\n")
    assert "def" not in await call(git_diff)


async def test_a_workspace_below_the_repository_sees_itself_only(repo: Path) -> None:
    (repo / "a.txt").write_text("1\n")
    (repo / "sub/c.txt").write_text("3\n")
    call = caller(run_context(repo / "sub"))
    assert "a.txt" not in await call(git_diff)
    assert "+3" in await call(git_diff)
    assert "a.txt" not in await call(git_status)
    assert "c.txt" in await call(git_commit, message="Only below")
    assert git(repo, "status", "--short") == "M a.txt"


async def test_log(repo: Path, call: Callable[..., Any]) -> None:
    (repo / "a.txt").write_text("1\n")
    git(repo, "commit", "-qam", "Second")
    lines = (await call(git_log)).splitlines()
    assert [line.partition(": ")[2] for line in lines] == ["Second", "Begin"]
    assert len((await call(git_log, limit=1)).splitlines()) == 1
    assert "Second" not in await call(git_log, path="b.txt")
    assert await call(git_log, path="nope") == "(no commits)"


async def test_branches(repo: Path, call: Callable[..., Any]) -> None:
    assert await call(git_branch) == "* main"
    assert "Switch to it" in await call(git_branch, action="create", name="topic/x")
    await call(git_branch, action="switch", name="topic/x")
    assert git(repo, "branch", "--show-current") == "topic/x"
    (repo / "a.txt").write_text("1\n")
    await call(git_commit, message="On a topic")
    await call(git_branch, action="switch", name="main")
    with pytest.raises(InvalidInput, match="not fully merged"):
        await call(git_branch, action="delete", name="topic/x")
    git(repo, "merge", "-q", "topic/x")
    assert await call(git_branch, action="delete", name="topic/x") == "Deleted topic/x."
    with pytest.raises(CodeLabError):
        await call(git_branch, action="switch", name="nope")
    with pytest.raises(InvalidInput):
        await call(git_branch, action="create", name="--force")


async def test_a_commit_holds_the_named_files_only(repo: Path, call: Callable[..., Any]) -> None:
    (repo / "a.txt").write_text("1\n")
    (repo / "b.txt").write_text("2\n")
    (repo / "new.txt").write_text("n\n")
    git(repo, "add", "b.txt")
    told = await call(git_commit, message="Subject\n\nBody", paths=["a.txt", "new.txt"])
    assert "on main, 2 file(s):\na.txt\nnew.txt" in told
    assert git(repo, "show", "--name-only", "--format=%an|%B") == "Ada Example|Subject\n\nBody\n\n\na.txt\nnew.txt"
    assert git(repo, "status", "--short") == "M  b.txt"


async def test_without_paths_all_tracked_changes_are_committed(repo: Path, call: Callable[..., Any]) -> None:
    (repo / "a.txt").write_text("1\n")
    (repo / "b.txt").unlink()
    (repo / "new.txt").write_text("n\n")
    assert "2 file(s)" in await call(git_commit, message="-m looks like an option")
    assert git(repo, "status", "--short") == "?? new.txt"
    assert git(repo, "log", "-1", "--format=%s") == "-m looks like an option"
    with pytest.raises(InvalidInput, match="nothing to commit"):
        await call(git_commit, message="x")
    with pytest.raises(InvalidInput, match="empty"):
        await call(git_commit, message=" ")


async def test_a_folder_is_committed_without_its_secrets_and_ignored_files(
    repo: Path, call: Callable[..., Any]
) -> None:
    (repo / ".gitignore").write_text("*.log\n")
    for name in (".env", "x.log", "d.txt", "odd name ü.txt"):
        (repo / "sub" / name).write_text("x\n")
    await call(git_commit, message="Folder", paths=["sub"])
    assert (
        git(repo, "-c", "core.quotePath=false", "show", "--name-only", "--format=") == "sub/d.txt\nsub/odd name ü.txt"
    )


async def test_hooks_do_not_run(repo: Path, call: Callable[..., Any]) -> None:
    for name in ("pre-commit", "post-commit", "post-checkout", "commit-msg"):
        hook = repo / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch {repo}/ran-{name}\nexit 1\n")
        hook.chmod(0o755)
    (repo / "a.txt").write_text("1\n")
    await call(git_commit, message="Quiet")
    await call(git_branch, action="create", name="x")
    await call(git_branch, action="switch", name="x")
    assert not list(repo.glob("ran-*"))


async def test_the_author_is_the_product_where_nobody_is_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    path = tmp_path / "fresh"
    path.mkdir()
    git(path, "init", "-q", "-b", "main")
    call = caller(run_context(path))
    assert await call(git_log) == "(no commits yet)"
    assert "no commit yet" in await call(git_branch)
    (path / "a").write_text("x\n")
    await call(git_commit, message="First", paths=["a"])
    assert git(path, "log", "--format=%an <%ae>") == "CodeLab <codelab@localhost>"


async def test_a_plain_folder_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    call = caller(run_context(folder))
    for one in (git_status, git_diff, git_log, git_branch):
        with pytest.raises(InvalidInput, match="not a git repository"):
            await call(one)


@pytest.mark.parametrize("ref", ["HEAD", "main~2", "HEAD^", "a..b", "main...topic/x", "HEAD@{1}", "v1.0", "@"])
def test_refs(ref: str) -> None:
    assert check_ref(ref) == ref


@pytest.mark.parametrize("ref", ["", "-x", "--output=x", "HEAD:.env", "a b", ":/x", "a\n", "$x", "x" * 300])
def test_odd_refs(ref: str) -> None:
    with pytest.raises(InvalidInput):
        check_ref(ref)


@pytest.mark.parametrize(
    "name", ["", "-d", "a..b", "a b", "a/", "/a", ".a", "a.lock", "a//b", "@{-1}", "a~1", "a:b", "_x", "a/.b", "a\n"]
)
def test_odd_branch_names(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_branch(name)


@pytest.mark.parametrize("path", ["", " ", "-x", "--", "a\0b"])
def test_odd_paths(path: str) -> None:
    with pytest.raises(InvalidInput):
        check_path(path)
