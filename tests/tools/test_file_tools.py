"""The file tools as a model sees them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from codelab.core.errors import Conflict, InvalidInput
from codelab.tools.files import (
    SPECS,
    create_directory,
    delete_file,
    edit_file,
    list_files,
    move_file,
    read_file,
    write_file,
)
from codelab.tools.patching import SPECS as PATCH_SPECS
from codelab.tools.patching import apply_patch
from codelab.tools.plans import plan
from codelab.tools.reading import block_around
from codelab.tools.search import SPECS as SEARCH_SPECS
from codelab.tools.search import search_files
from codelab.tools.textfile import short_hash
from codelab.tools.workspaces.local import LocalWorkspace
from tests.support.toolkit import caller, run_context

CODE = """\
import os


class Thing:
    # about one
    @property
    def one(self):
        if os:
            return 1

        return 2

    def two(self):
        return (
            3
        )


LAST = 1
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "code.py").write_text(CODE)
    return folder


@pytest.fixture
def call(root: Path) -> Callable[..., Any]:
    return caller(run_context(root))


async def test_read_shows_numbers_and_a_hash(call: Any):
    text = await call(read_file, path="code.py", offset=4, limit=2)
    assert text == (
        f"code.py · 19 lines · {short_hash(CODE.encode())} · showing 4-5\n"
        "    4 | class Thing:\n    5 |     # about one\n"
        "… 14 more lines: read on with offset=6"
    )


@pytest.mark.parametrize(
    ("line", "limit", "expected"),
    [
        (9, 100, (4, 16)),  # the class fits
        (9, 8, (5, 11)),  # the method with its decorator and comment
        (10, 8, (5, 11)),  # a blank line belongs to the block above
        (9, 2, (8, 9)),  # the innermost block
        (14, 9, (13, 16)),
        (4, 100, (4, 16)),
        (19, 3, (17, 19)),  # no block: a window
        (9, 1, (9, 9)),
    ],
)
def test_the_block_around_a_line(line: int, limit: int, expected: tuple[int, int]):
    assert block_around(CODE.split("\n")[:-1], line, limit) == expected


async def test_read_around_a_line(call: Any):
    text = await call(read_file, path="code.py", around_line=9, limit=8)
    assert "showing 5-11" in text
    assert "    7 |     def one(self):" in text


async def test_read_refuses_and_explains(call: Any, root: Path):
    (root / "bin").write_bytes(b"a\0b")
    (root / "empty").write_bytes(b"")
    with pytest.raises(InvalidInput, match="binary file of 3 bytes"):
        await call(read_file, path="bin")
    with pytest.raises(InvalidInput, match="beyond the end: the file has 19 lines"):
        await call(read_file, path="code.py", offset=50)
    with pytest.raises(FileNotFoundError, match="list the folder"):
        await call(read_file, path="none.py")
    assert "(the file is empty)" in await call(read_file, path="empty")


async def test_read_cuts_what_is_long(call: Any, root: Path):
    (root / "long.txt").write_text(f"{'x' * 3_000}\n" * 100)
    text = await call(read_file, path="long.txt")
    assert "… (1000 more characters)" in text
    assert len(text) < 65_000
    assert "more lines: read on with offset=" in text


async def test_list(call: Any, root: Path):
    (root / "empty").mkdir()
    assert await call(list_files) == ".: 2 entries\ncode.py\nempty/"
    assert await call(list_files, path="empty") == "empty: no entries"
    assert "… 1 more" in await call(list_files, limit=1)
    assert await call(list_files, recursive=True) == ".: 1 entries\ncode.py"


async def test_write_creates_and_replaces(call: Any, root: Path):
    told = await call(write_file, path="new/x.json", content='{"a": 1}\n')
    assert told.startswith("created new/x.json (+1 -0 lines) · sha256:")
    assert "syntax error" in await call(write_file, path="new/x.json", content='{"a": 1')
    assert (root / "new" / "x.json").read_text() == '{"a": 1'
    assert "nothing changed" in await call(write_file, path="new/x.json", content='{"a": 1')


async def test_write_keeps_the_clothes_of_a_file(call: Any, root: Path):
    (root / "w.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\r\n")
    await call(write_file, path="w.txt", content="a\nc\n")
    assert (root / "w.txt").read_bytes() == b"\xef\xbb\xbfa\r\nc\r\n"
    (root / "l.txt").write_bytes("é\n".encode("latin-1"))
    await call(edit_file, path="l.txt", edits=[{"old": "é", "new": "è"}])
    assert (root / "l.txt").read_bytes() == "è\n".encode("latin-1")
    with pytest.raises(InvalidInput, match="latin-1"):
        await call(edit_file, path="l.txt", edits=[{"old": "è", "new": "я"}])
    (root / "b.bin").write_bytes(b"\0")
    await call(write_file, path="b.bin", content="text\n")
    assert (root / "b.bin").read_bytes() == b"text\n"


async def test_edit_tells_what_changed(call: Any, root: Path):
    told = await call(edit_file, path="code.py", edits=[{"old": "return 2", "new": "return 22"}])
    after = CODE.replace("return 2", "return 22")
    assert told == f"changed code.py (+1 -1 lines) · {short_hash(after.encode())}\nreplaced at line 11"
    assert (root / "code.py").read_text() == after
    told = await call(edit_file, path="code.py", edits=[{"old": "LAST = 1", "new": "LAST = ("}])
    assert "This edit brought in a syntax error, fix it: Python: '(' was never closed (line 19: LAST = ()" in told
    told = await call(edit_file, path="code.py", edits=[{"old": "import os", "new": "import sys"}])
    assert "syntax" not in told


async def test_edit_accepts_what_models_send(call: Any):
    assert "changed" in await call(edit_file, path="code.py", edits='[{"old": "LAST = 1", "new": "LAST = 2"}]')
    assert "changed" in await call(edit_file, path="code.py", edits={"old": "LAST = 2", "new": "LAST = 3"})


@pytest.mark.parametrize("tool", ["write_file", "edit_file"])
async def test_a_stale_hash_is_refused(call: Any, root: Path, tool: str):
    args = {"write_file": {"content": "x"}, "edit_file": {"edits": [{"old": "LAST = 1", "new": "x"}]}}[tool]
    by_name = {"write_file": write_file, "edit_file": edit_file}
    with pytest.raises(Conflict, match="changed since you read it") as caught:
        await call(by_name[tool], path="code.py", expected_hash="sha256:0123456789abcdef", **args)
    assert caught.value.code == "stale_file"
    with pytest.raises(InvalidInput, match="too short"):
        await call(by_name[tool], path="code.py", expected_hash="sha256:01", **args)
    assert (root / "code.py").read_text() == CODE
    await call(by_name[tool], path="code.py", expected_hash=short_hash(CODE.encode()), **args)


async def test_a_hash_for_a_missing_file(call: Any):
    with pytest.raises(Conflict, match="no longer exists"):
        await call(write_file, path="gone.py", content="", expected_hash="sha256:0123456789abcdef")


async def test_delete_move_and_create(call: Any, root: Path):
    assert await call(create_directory, path="a/b") == "created folder a/b"
    assert await call(move_file, source="code.py", target="a/b/c.py") == "moved code.py to a/b/c.py"
    assert await call(delete_file, path="a/b/c.py") == "deleted a/b/c.py"
    assert sorted(p.name for p in root.rglob("*")) == ["a", "b"]


async def test_apply_patch(call: Any, root: Path):
    patch = (
        "--- a/code.py\n+++ b/code.py\n@@ -19 +19 @@\n-LAST = 1\n+LAST = [\n"
        "--- /dev/null\n+++ b/n.txt\n@@ -0,0 +1 @@\n+n\n"
    )
    told = await call(apply_patch, patch=patch)
    assert "changed code.py (+1 -1 lines)" in told
    assert "created n.txt (+1 -0 lines)" in told
    assert "syntax error" in told
    assert (root / "n.txt").read_text() == "n\n"


async def test_search(call: Any, root: Path):
    (root / "sub").mkdir()
    (root / "sub" / "x.md").write_text("Return\nreturn\n")
    (root / ".env").write_text("return SECRET")
    assert await call(search_files, pattern="return [12]") == (
        "code.py\n    9 |             return 1\n   11 |         return 2"
    )
    assert await call(search_files, pattern="(?i)return", glob="*.md", limit=1) == (
        "sub/x.md\n    1 | Return\n… at least 1 more lines match: narrow path, glob or pattern"
    )
    assert await call(search_files, pattern="return", output_mode="files") == (
        "4 matching lines in 2 files\ncode.py\nsub/x.md"
    )
    assert await call(search_files, pattern="return (", regex=False, output_mode="count", path="code.py") == (
        "1 matching lines in 1 files\n    1  code.py"
    )
    assert "1 more files" in await call(search_files, pattern="return", output_mode="files", limit=1)
    assert "no match in sub (*.py)" in await call(search_files, pattern="x", path="sub", glob="*.py")


def test_touched_paths():
    by_name = {spec.name: spec for spec in (*SPECS, *PATCH_SPECS, *SEARCH_SPECS)}
    assert by_name["list_files"].touches({}).reads == (".",)
    assert by_name["search_files"].touches({"path": "x"}).reads == ("x",)
    assert by_name["read_file"].touches({"path": "x"}).reads == ("x",)
    assert by_name["move_file"].touches({"source": "a", "target": "b"}).writes == ("a", "b")
    patch = "--- a/x\n+++ b/y\n@@ -1 +1 @@\n-a\n+b\n"
    assert by_name["apply_patch"].touches({"patch": patch}).writes == ("x", "y")
    for name, args in (("write_file", {}), ("edit_file", {"path": 3}), ("apply_patch", {"patch": None})):
        with pytest.raises(InvalidInput):
            by_name[name].touches(args)


async def test_plans_show_what_would_happen(root: Path):
    space = LocalWorkspace(root, id="w")
    edits = [{"old": "LAST = 1", "new": "LAST = 2"}]
    assert "+LAST = 2" in (await planned(space, "edit_file", path="code.py", edits=edits))[0].diff()
    assert "--- /dev/null\n+++ b/e.txt\n" in (await planned(space, "write_file", path="e.txt", content=""))[0].diff()
    assert "+++ /dev/null" in (await planned(space, "delete_file", path="code.py"))[0].diff()
    moved = (await planned(space, "move_file", source="code.py", target="d.py"))[0]
    assert moved.diff() == "rename from code.py\nrename to d.py\n"
    (root / "b").write_bytes(b"\0")
    assert "Binary file b changes" in (await planned(space, "delete_file", path="b"))[0].diff()
    diff = "--- a/code.py\n+++ b/code.py\n@@ -19 +19 @@\n-LAST = 1\n+LAST = 3\n"
    assert await planned(space, "apply_patch", patch=diff) == await planned(space, "apply_patch_review", diff=diff)
    assert await plan("execute_command", {}, space) is None
    assert (root / "code.py").read_text() == CODE


@pytest.mark.parametrize(
    ("name", "args", "error"),
    [
        ("write_file", {}, InvalidInput),
        ("edit_file", {"path": "code.py", "edits": "nonsense"}, InvalidInput),
        ("delete_file", {"path": "none"}, FileNotFoundError),
        ("move_file", {"source": "none", "target": "x"}, FileNotFoundError),
        ("move_file", {"source": "code.py", "target": "code.py"}, Conflict),
    ],
)
async def test_impossible_plans_are_refused(root: Path, name: str, args: dict[str, Any], error: type[Exception]):
    with pytest.raises(error):
        await plan(name, args, LocalWorkspace(root, id="w"))


async def planned(space: LocalWorkspace, name: str, **args: Any):
    changes = await plan(name, args, space)
    assert changes is not None
    return changes
