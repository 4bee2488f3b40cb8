"""The workspace on this machine: reading, atomic writing, listing and searching."""

import stat
import time
from pathlib import Path

import pytest

from codelab.core.errors import Conflict, InvalidInput, TooLarge
from codelab.tools.gitcmd import git
from codelab.tools.workspaces.local import LocalWorkspace


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def space(root: Path) -> LocalWorkspace:
    return LocalWorkspace(root, id="w")


async def test_locates_through_links(space: LocalWorkspace, root: Path):
    (root / "sub").mkdir()
    (root / "link").symlink_to("sub")
    where = await space.locate("link/new.txt")
    assert (where.path, where.exists, where.is_dir) == ("sub/new.txt", False, False)
    root = await space.locate(".")
    assert (root.path, root.exists, root.is_dir) == (".", True, True)
    assert (await space.locate("nowhere/deep")).exists is False


async def test_writes_atomically_and_keeps_the_mode(space: LocalWorkspace, root: Path):
    await space.write("new/deep/run.sh", b"one")
    script = root / "new" / "deep" / "run.sh"
    script.chmod(0o750)
    inode = script.stat().st_ino
    await space.write("new/deep/run.sh", b"two")
    assert script.read_bytes() == b"two"
    assert stat.S_IMODE(script.stat().st_mode) == 0o750
    assert script.stat().st_ino != inode
    assert [p.name for p in script.parent.iterdir()] == ["run.sh"]


async def test_writes_through_a_link_inside(space: LocalWorkspace, root: Path):
    (root / "real.txt").write_text("1")
    (root / "link.txt").symlink_to("real.txt")
    await space.write("link.txt", b"2")
    assert (root / "link.txt").is_symlink()
    assert (root / "real.txt").read_bytes() == b"2"


async def test_refuses_what_is_not_a_file(space: LocalWorkspace, root: Path):
    (root / "folder").mkdir()
    (root / "big").write_bytes(b"x" * 20)
    with pytest.raises(InvalidInput, match="not a regular file"):
        await space.read("folder")
    with pytest.raises(InvalidInput, match="not a regular file"):
        await space.write("folder", b"")
    with pytest.raises(InvalidInput, match="workspace itself"):
        await space.write(".", b"")
    with pytest.raises(TooLarge):
        await space.read("big", limit=10)
    with pytest.raises(FileNotFoundError, match="list the folder"):
        await space.read("missing.txt")
    with pytest.raises(InvalidInput, match="not a folder"):
        await space.write("big/inner", b"")


async def test_deletes_and_moves(space: LocalWorkspace, root: Path):
    await space.write("a/one.txt", b"1")
    await space.write("two.txt", b"2")
    (root / "link").symlink_to("two.txt")
    with pytest.raises(Conflict, match="not empty"):
        await space.delete("a")
    with pytest.raises(Conflict, match="exists"):
        await space.move("two.txt", "a/one.txt")
    with pytest.raises(InvalidInput, match="into itself"):
        await space.move("a", "a/b")
    await space.delete("link")
    assert (root / "two.txt").exists()
    await space.move("two.txt", "b/c/two.txt")
    assert (root / "b" / "c" / "two.txt").read_bytes() == b"2"
    await space.delete("a/one.txt")
    await space.delete("a")
    await space.make_dir("x/y")
    assert await space.list(".", recursive=False, limit=9) == (["b/", "x/"], 0)
    with pytest.raises(FileNotFoundError):
        await space.delete("gone")


async def test_lists_one_folder(space: LocalWorkspace, root: Path):
    await space.write("b/x.txt", b"")
    await space.write("a.txt", b"")
    (root / ".git").mkdir()
    assert await space.list(".", recursive=False, limit=10) == (["a.txt", "b/"], 0)
    assert await space.list("b", recursive=False, limit=10) == (["b/x.txt"], 0)
    assert await space.list(".", recursive=False, limit=1) == (["a.txt"], 1)
    with pytest.raises(InvalidInput, match="not a folder"):
        await space.list("a.txt", recursive=False, limit=1)


async def test_lists_below_as_git_sees_it(space: LocalWorkspace, root: Path):
    await git(root, "init", "-q")
    for name in ("a.py", "pkg/b.py", "build/out.py", "gone.py", "note.log"):
        await space.write(name, b"needle")
    await space.write(".gitignore", b"build/\n*.log\n")
    await git(root, "add", "gone.py", "a.py")
    (root / "gone.py").unlink()
    assert (await space.list(".", recursive=True, limit=10))[0] == [".gitignore", "a.py", "pkg/b.py"]
    assert (await space.list("pkg", recursive=True, limit=10))[0] == ["pkg/b.py"]
    assert (await space.list("build", recursive=True, limit=10))[0] == ["build/out.py"]
    hits, _ = await space.search("needle", path=".", glob=None, regex=False, limit=10)
    assert [hit.path for hit in hits] == ["a.py", "pkg/b.py"]


async def test_a_walk_skips_the_clutter(space: LocalWorkspace):
    for name in ("a.py", "node_modules/x.js", "deep/.venv/y.py", "deep/z.py"):
        await space.write(name, b"")
    assert (await space.list(".", recursive=True, limit=10))[0] == ["a.py", "deep/z.py"]


async def test_without_git_a_repository_is_walked(space: LocalWorkspace, root: Path, monkeypatch: pytest.MonkeyPatch):
    await git(root, "init", "-q")
    await space.write("a.py", b"")
    monkeypatch.setenv("PATH", str(root))
    assert (await space.list(".", recursive=True, limit=10))[0] == ["a.py"]


async def test_secret_files_are_not_searched(space: LocalWorkspace):
    for name in (".env", "sub/id_rsa", "open.txt"):
        await space.write(name, b"needle")
    hits, more = await space.search("needle", path=".", glob=None, regex=False, limit=10)
    assert [hit.path for hit in hits] == ["open.txt"]
    assert more == 0


async def test_search_finds_lines(space: LocalWorkspace, root: Path):
    await space.write("a.txt", "one\r\nTwo fòo\r\n\r\nfoo(bar\r\n".encode())
    await space.write("sub/b.py", b"foo(bar\n")
    await space.write("bin.dat", b"foo(bar\0")
    outside = root.parent / "outside.txt"
    outside.write_text("foo(bar")
    (root / "link.txt").symlink_to(outside)
    hits, more = await space.search("foo(bar", path=".", glob=None, regex=False, limit=10)
    assert [(hit.path, hit.line, hit.text) for hit in hits] == [("a.txt", 4, "foo(bar"), ("sub/b.py", 1, "foo(bar")]
    assert more == 0
    hits, more = await space.search(r"^\w+$|f.o$", path=".", glob="*.txt", regex=True, limit=1)
    assert [(hit.line, hit.text) for hit in hits] == [(1, "one")]
    assert more == 1
    hits, _ = await space.search("^$", path="a.txt", glob=None, regex=True, limit=9)
    assert [hit.line for hit in hits] == [3]
    hits, _ = await space.search("foo", path="sub", glob="*.{py,js}", regex=True, limit=9)
    assert [hit.path for hit in hits] == ["sub/b.py"]


@pytest.mark.parametrize("pattern", [r"(?=x)", r"(a)\1", "(", "", "a\nb", r"a\nb", "(a{1000}){1000}"])
async def test_search_refuses_what_it_cannot_do(space: LocalWorkspace, pattern: str):
    with pytest.raises(InvalidInput):
        await space.search(pattern, path=".", glob=None, regex=True, limit=1)


async def test_a_catastrophic_pattern_takes_linear_time(space: LocalWorkspace):
    await space.write("a.txt", b"a" * 50_000 + b"!")
    begin = time.process_time()
    await space.search(r"^(a+)+$", path=".", glob="*" * 30 + "a*", regex=True, limit=1)
    await space.search(r"(a|a?)+b", path=".", glob="{a,a*}" * 20, regex=True, limit=1)
    await space.search(r"(x+x+)+y", path=".", glob=None, regex=True, limit=1)
    assert time.process_time() - begin < 10  # backtracking would take years


async def test_runs_a_program_in_a_folder(space: LocalWorkspace):
    await space.write("sub/x.txt", b"")
    result = await space.run(["/bin/ls"], cwd="sub", timeout_s=10)
    assert (result.exit_code, result.output.strip()) == (0, "x.txt")
    with pytest.raises(InvalidInput):
        await space.run(["/bin/ls"], cwd="..", timeout_s=10)
