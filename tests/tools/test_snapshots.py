"""Snapshots: a turn as a diff, undone without touching the person's index, HEAD or branches."""

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from codelab.core.errors import Conflict
from codelab.tools.gitcmd import git
from codelab.tools.snapshots import BIGGEST, Snapshots

BEFORE, AFTER = "refs/codelab/thread/turn/before", "refs/codelab/thread/turn/after"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def snapshots(tmp_path: Path) -> Snapshots:
    return Snapshots(tmp_path / "data")


async def plain(_root: Path) -> None:
    """Leave a folder without git."""


async def unborn(root: Path) -> None:
    """A repository without commits."""
    await git(root, "init", "-q")


async def committed(root: Path) -> None:
    """A repository with a commit, something staged and a branch."""
    await git(root, "init", "-q", "-b", "main")
    (root / "kept.txt").write_text("kept\n")
    await git(root, "add", "kept.txt")
    identity = ("-c", "user.name=a", "-c", "user.email=a@example.com")
    await git(root, *identity, "commit", "-q", "-m", "first")
    (root / "staged.txt").write_text("staged\n")
    await git(root, "add", "staged.txt")


async def inside_another(root: Path) -> None:
    """A folder below the top of a repository."""
    await git(root.parent, "init", "-q")


def fill(root: Path) -> None:
    (root / ".gitignore").write_text("*.log\n")
    (root / "a.txt").write_text("one\n")
    (root / "sub").mkdir()
    (root / "sub" / "gone ü.txt").write_text("gone\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "link").symlink_to("a.txt")


def change(root: Path) -> None:
    (root / "a.txt").write_text("two\n")
    (root / "sub" / "gone ü.txt").unlink()
    (root / "sub").rmdir()
    (root / "new" / "deep").mkdir(parents=True)
    (root / "new" / "deep" / "n.txt").write_text("new\n")
    (root / "run.sh").write_text("#!/bin/bash\n")
    (root / "link").unlink()
    (root / "link").write_text("a file now\n")
    (root / "x.log").write_text("ignored\n")


def contents(root: Path) -> dict[str, object]:
    return {
        str(p.relative_to(root)): (str(p.readlink()) if p.is_symlink() else p.read_text(), p.lstat().st_mode & 0o111)
        for p in sorted(root.rglob("*"))
        if (p.is_file() or p.is_symlink()) and ".git/" not in str(p)
    }


@pytest.mark.parametrize("kind", [plain, unborn, committed, inside_another])
async def test_a_turn_is_a_diff_and_can_be_undone(root: Path, snapshots: Snapshots, kind: Callable):
    await kind(root)
    fill(root)
    original = contents(root)
    before = await snapshots.take(root, BEFORE)
    change(root)
    after = await snapshots.take(root, AFTER)
    assert before
    assert after
    assert await snapshots.find(root, BEFORE) == before
    diff = await snapshots.diff(root, before, after)
    assert "--- a/a.txt\n+++ b/a.txt\n@@ -1 +1 @@\n-one\n+two\n" in diff
    assert "+++ b/new/deep/n.txt" in diff
    assert "x.log" not in diff
    changed = ["a.txt", "link", "new/deep/n.txt", "run.sh", "sub/gone ü.txt"]
    assert sorted(await snapshots.changed(root, before, after)) == changed
    assert await snapshots.restore(root, before, after) == changed
    assert contents(root) == original | {"x.log": ("ignored\n", 0)}
    assert not (root / "new").exists()


async def test_the_persons_repository_is_not_touched(root: Path, snapshots: Snapshots):
    await committed(root)
    fill(root)

    async def seen() -> tuple[str, ...]:
        commands = (("status", "--porcelain"), ("log", "--oneline"), ("diff", "--cached"), ("branch", "-a"))
        return tuple([(await git(root, *command)).text for command in commands])

    index = (root / ".git" / "index").read_bytes()
    was = await seen()
    before = await snapshots.take(root, BEFORE)
    assert await seen() == was
    (root / "a.txt").write_text("two\n")
    after = await snapshots.take(root, AFTER)
    assert before
    assert after
    await snapshots.restore(root, before, after)
    assert await seen() == was
    assert (root / ".git" / "index").read_bytes() == index


async def test_undo_refuses_what_changed_since(root: Path, snapshots: Snapshots):
    fill(root)
    before = await snapshots.take(root, BEFORE)
    (root / "a.txt").write_text("two\n")
    (root / "run.sh").write_text("echo\n")
    after = await snapshots.take(root, AFTER)
    (root / "a.txt").write_text("by hand\n")
    (root / "other.txt").write_text("untouched by the turn\n")
    assert before
    assert after
    with pytest.raises(Conflict, match=r"a\.txt") as caught:
        await snapshots.restore(root, before, after)
    assert caught.value.code == "stale_file"
    assert (root / "run.sh").read_text() == "echo\n"
    (root / "a.txt").write_text("two\n")
    assert await snapshots.restore(root, before, after) == ["a.txt", "run.sh"]
    assert (root / "other.txt").exists()


async def test_a_folder_may_become_a_file_and_back(root: Path, snapshots: Snapshots):
    (root / "x").mkdir()
    (root / "x" / "inner.txt").write_text("inner\n")
    (root / "y").write_text("file\n")
    original = contents(root)
    before = await snapshots.take(root, BEFORE)
    (root / "x" / "inner.txt").unlink()
    (root / "x").rmdir()
    (root / "x").write_text("file now\n")
    (root / "y").unlink()
    (root / "y").mkdir()
    (root / "y" / "z.txt").write_text("z\n")
    after = await snapshots.take(root, AFTER)
    assert before
    assert after
    await snapshots.restore(root, before, after)
    assert contents(root) == original


async def test_odd_files_do_not_stop_a_snapshot(root: Path, snapshots: Snapshots):
    await unborn(root)
    await git(root, "init", "-q", "nested")
    (root / "nested" / "n.txt").write_text("n")
    (root / "dangling").symlink_to("/nowhere")
    with (root / "big").open("wb") as big:
        big.truncate(BIGGEST + 1)
    subprocess.run(["mkfifo", root / "pipe"], check=True)  # noqa: ASYNC221
    before = await snapshots.take(root, BEFORE)
    assert before
    listed = (await git(root, "ls-tree", "-r", "--name-only", before)).text.split()
    assert listed == ["dangling"]


async def test_a_folder_that_becomes_a_repository_keeps_its_history(root: Path, snapshots: Snapshots):
    fill(root)
    before = await snapshots.take(root, BEFORE)
    await unborn(root)
    (root / "a.txt").write_text("two\n")
    after = await snapshots.take(root, AFTER)
    assert before
    assert after
    assert await snapshots.changed(root, before, after) == ["a.txt"]


async def test_snapshots_are_forgotten_by_thread(root: Path, snapshots: Snapshots):
    fill(root)
    await snapshots.take(root, BEFORE)
    await snapshots.take(root, "refs/codelab/other/turn/before")
    await snapshots.drop(root, "refs/codelab/thread")
    assert await snapshots.find(root, BEFORE) is None
    assert await snapshots.find(root, "refs/codelab/other/turn/before")
    await snapshots.drop(root, "refs/codelab/thread")


async def test_without_git_there_is_no_snapshot(root: Path, snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    assert await snapshots.take(root, BEFORE) is None


async def test_many_first_snapshots_at_once_share_one_index(tmp_path: Path):
    """Turns that are recovered together after a restart all look at their folder at the same moment."""
    root = tmp_path / "project"
    root.mkdir()
    await committed(root)
    for attempt in range(8):
        snapshots = Snapshots(tmp_path / f"data{attempt}")
        trees = await asyncio.gather(*(snapshots.capture(root) for _ in range(6)))
        assert len(set(trees)) == 1
        assert len(list((tmp_path / f"data{attempt}" / "scratch").iterdir())) == 1


async def test_an_index_that_was_swept_away_is_made_anew(root: Path, snapshots: Snapshots, tmp_path: Path):
    await committed(root)
    first = await snapshots.capture(root)
    for folder in tmp_path.rglob("scratch/*"):
        shutil.rmtree(folder)
    (root / "more.txt").write_text("more", "utf-8")
    assert await snapshots.capture(root) not in {None, first}
