"""Git as the service runs it: nothing in a repository makes it run a program, nothing of GIT_* reaches it."""

import asyncio
from pathlib import Path

import pytest
import uvloop

from codelab.core.errors import Unavailable
from codelab.tools import gitcmd
from codelab.tools.gitcmd import GitFailed, git, is_repository
from codelab.tools.snapshots import Snapshots


async def test_answers_with_bytes_and_names(tmp_path: Path):
    await git(tmp_path, "init", "-q")
    (tmp_path / "ünïcode file.txt").write_text("x")
    listed = await git(tmp_path, "ls-files", "-co", "--exclude-standard", "-z")
    assert listed.names == ["ünïcode file.txt"]
    assert await is_repository(tmp_path)


async def test_a_folder_outside_git_is_said_so(tmp_path: Path):
    assert not await is_repository(tmp_path)
    with pytest.raises(GitFailed, match="not a git repository"):
        await git(tmp_path, "status")


async def test_inherits_no_git_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_WORK_TREE", "/nowhere")
    await git(tmp_path, "init", "-q")
    assert await is_repository(tmp_path)


async def test_runs_no_hooks_and_no_monitor(tmp_path: Path):
    await git(tmp_path, "init", "-q")
    for name in ("pre-commit", "post-index-change", "reference-transaction"):
        hook = tmp_path / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-hook\n")
        hook.chmod(0o755)
    monitor = tmp_path / "monitor.sh"
    monitor.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran-monitor\n")
    monitor.chmod(0o755)
    await git(tmp_path, "config", "core.fsmonitor", str(monitor))
    await git(tmp_path, "add", "-A")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    await git(tmp_path, *identity, "commit", "-q", "-m", "first")
    await git(tmp_path, "status")
    assert not (tmp_path / "ran-hook").exists()
    assert not (tmp_path / "ran-monitor").exists()


async def test_refuses_a_folder_that_only_looks_like_a_repository(tmp_path: Path):
    await git(tmp_path, "init", "-q", "--bare", "fake")
    with pytest.raises(GitFailed):
        await git(tmp_path / "fake", "log")


async def test_reaches_no_remote(tmp_path: Path):
    await git(tmp_path, "init", "-q", "a")
    with pytest.raises(GitFailed, match="not allowed"):
        await git(tmp_path, "clone", "-q", str(tmp_path / "a"), "b")


async def test_an_expected_exit_code_is_an_answer(tmp_path: Path):
    assert (await git(tmp_path, "rev-parse", ok=(128,))).code == 128
    with pytest.raises(GitFailed):
        await git(tmp_path, "no-such-command")


async def test_a_slow_git_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(gitcmd, "TIMEOUT_S", 0.0)
    with pytest.raises(Unavailable, match="took longer"):
        await git(tmp_path, "hash-object", "--stdin", stdin=b"x" * 1_000_000)


async def test_a_missing_git_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="not installed"):
        await git(tmp_path, "status")


@pytest.mark.parametrize("size", [0, 10, 3_000_000])
def test_git_may_leave_its_input_unread_on_uvloop(tmp_path: Path, size: int) -> None:
    async def many() -> None:
        await git(tmp_path, "init", "-q")
        results = await asyncio.gather(*(git(tmp_path, "rev-parse", "--git-dir", stdin=b"x" * size) for _ in range(20)))
        assert {result.text for result in results} == {".git\n"}

    uvloop.run(many())


@pytest.mark.parametrize("where", ["config", "included"])
async def test_a_repositorys_own_filters_run_nothing(tmp_path: Path, where: str) -> None:
    await git(tmp_path, "init", "-q")
    await git(tmp_path, "config", "user.name", "a")
    await git(tmp_path, "config", "user.email", "a@example.com")
    evil = f'[filter "evil.x"]\n\tclean = touch {tmp_path}/ran; cat\n\trequired = true\n'
    if where == "config":
        with (tmp_path / ".git" / "config").open("a") as config:
            config.write(evil)
    else:
        (tmp_path / ".git" / "more").write_text(evil)
        await git(tmp_path, "config", "include.path", "more")
    (tmp_path / ".gitattributes").write_text("*.txt filter=evil.x\n")
    (tmp_path / "a.txt").write_text("one\n")
    await git(tmp_path, "add", "--all")
    await git(tmp_path, "commit", "-q", "-m", "first")
    (tmp_path / "a.txt").write_text("two\n")
    assert "a.txt" in (await git(tmp_path, "status", "--porcelain")).text
    assert await Snapshots(tmp_path.parent / "data").capture(tmp_path)
    assert not (tmp_path / "ran").exists()
