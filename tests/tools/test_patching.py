"""Patches in both forms: read the same by everybody, applied to all files or to none."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codelab.core.errors import CodeLabError, Conflict, InvalidInput
from codelab.tools.changes import FileChange, carry_out, diff_of
from codelab.tools.diffing import counts, unified
from codelab.tools.patch_apply import PatchFailed, apply_hunks
from codelab.tools.patch_format import parse_patch, paths_of
from codelab.tools.patch_model import UnreadablePatch
from codelab.tools.plans import plan_patch
from codelab.tools.textfile import TextFile
from codelab.tools.workspaces.local import LocalWorkspace

FILES = {"a.py": "one\ntwo\nthree\n", "b.py": "def f():\n    return 1\n\ndef g():\n    return 1\n", "c.txt": "gone\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return folder


async def patched(root: Path, patch: str) -> dict[str, str]:
    space = LocalWorkspace(root, id="w")
    await carry_out(space, await plan_patch(space, patch))
    return contents(root)


def contents(root: Path) -> dict[str, str]:
    return {str(p.relative_to(root)): p.read_bytes().decode() for p in sorted(root.rglob("*")) if p.is_file()}


BEGIN = """\
*** Begin Patch
*** Update File: a.py
@@
 one
-two
+2

*** Add File: new/d.py
+x = 1
+
+y = 2
*** Update File: b.py
*** Move to: e.py
@@ def g():
-    return 1
+    return 2
*** Delete File: c.txt
*** End Patch
"""

UNIFIED = """\
Some words before.
diff --git a/a.py b/a.py
index 1..2 100644
--- a/a.py
+++ b/a.py
@@ -1,9 +1,7 @@
 one
-two
+2
 three
diff --git a/b.py b/e.py
similarity index 80%
rename from b.py
rename to e.py
--- a/b.py
+++ b/e.py
@@ -4,2 +4,2 @@ def f():
 def g():
-    return 1
+    return 2
--- /dev/null
+++ b/new/d.py
@@ -0,0 +1,3 @@
+x = 1
+
+y = 2
--- a/c.txt
+++ /dev/null
@@ -1 +0,0 @@
-gone
"""

EXPECTED = {
    "a.py": "one\n2\nthree\n",
    "e.py": "def f():\n    return 1\n\ndef g():\n    return 2\n",
    "new/d.py": "x = 1\n\ny = 2\n",
}


@pytest.mark.parametrize("patch", [BEGIN, UNIFIED, f"```diff\n{UNIFIED}```", UNIFIED.replace("\n", "\r\n")])
async def test_both_forms_do_the_same(root: Path, patch: str):
    assert sorted(paths_of(patch)) == ["a.py", "b.py", "c.txt", "e.py", "new/d.py"]
    assert await patched(root, patch) == EXPECTED


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        (UNIFIED.replace("-gone", "-never there"), "c.txt: hunk 1 of 1 was not found"),
        (BEGIN.replace("@@ def g():\n", "@@\n"), "fits 2 places"),
    ],
)
async def test_one_bad_member_fails_the_whole(root: Path, patch: str, why: str):
    with pytest.raises(PatchFailed, match="nothing was changed") as caught:
        await patched(root, patch)
    assert why in caught.value.message
    assert contents(root) == FILES


async def test_a_failing_disk_rolls_everything_back(root: Path):
    (root / "new").write_text("a file where a folder is needed")
    with pytest.raises(InvalidInput):
        await patched(root, BEGIN)
    assert contents(root) == FILES | {"new": "a file where a folder is needed"}


@pytest.mark.parametrize(
    ("patch", "error"),
    [
        ("*** Begin Patch\n*** Add File: a.py\n+x\n*** End Patch", PatchFailed),
        ("*** Begin Patch\n*** Delete File: nope\n*** End Patch", PatchFailed),
        ("*** Begin Patch\n*** Update File: a.py\n*** Move to: b.py\n*** End Patch", PatchFailed),
        ("--- a/../x\n+++ b/../x\n@@ -0,0 +1 @@\n+x\n", InvalidInput),
    ],
)
async def test_impossible_members_are_refused(root: Path, patch: str, error: type[CodeLabError]):
    with pytest.raises(error):
        await patched(root, patch)
    assert contents(root) == FILES


async def test_members_of_the_same_file_follow_one_another(root: Path):
    patch = "*** Begin Patch\n*** Update File: a.py\n-one\n+1\n*** Update File: ./a.py\n-1\n+I\n*** End Patch"
    assert (await patched(root, patch))["a.py"] == "I\ntwo\nthree\n"
    swap = (
        "*** Begin Patch\n*** Update File: a.py\n*** Move to: z.py\n*** Add File: a.py\n+new\n"
        "*** Delete File: c.txt\n*** End Patch"
    )
    files = await patched(root, swap)
    assert (files["a.py"], files["z.py"]) == ("new\n", "I\ntwo\nthree\n")


async def test_a_move_keeps_the_mode(root: Path):
    (root / "a.py").chmod(0o755)
    await patched(root, "*** Begin Patch\n*** Update File: a.py\n*** Move to: sub/a.py\n-one\n+1\n*** End Patch")
    assert (root / "sub" / "a.py").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize(
    ("patch", "why"),
    [
        ("", "empty"),
        ("hello", "no file is named"),
        ("@@ -1 +1 @@\n-a\n+b\n", "line 1 .* before any"),
        ("--- a/x\n+++ b/x\n", "no hunks"),
        ("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n a\nzzz\n", "line 5 .* should start"),
        ("--- a/x\n+++ b/x\n@@ -1 +1 @@\n a\n", "changes nothing"),
        ("diff --git a/x b/x\nnew file mode 120000\n--- /dev/null\n+++ b/x\n@@ -0,0 +1 @@\n+/etc\n", "symlink"),
        ("diff --git a/x b/x\nold mode 100644\nnew mode 100755\n", "mode"),
        ("diff --git a/x b/x\nGIT binary patch\n", "binary"),
        ("diff --git a/x b/y\ncopy from x\ncopy to y\n", "copy"),
        ("*** Begin Patch\n*** Frob: x\n*** End Patch", "line 2"),
        ("*** Begin Patch\n*** Add File: x\nabc\n*** End Patch", "line 3"),
        ("*** Begin Patch\n*** Add File: x\n abc\n*** End Patch", "must start with"),
        ("*** Begin Patch\n*** Add File: \n*** End Patch", "no path"),
        ("*** Begin Patch\n*** Update File: x\n*** End Patch", "changes nothing"),
        ("*** Begin Patch\n*** Delete File: x\n-a\n*** End Patch", "nothing may follow"),
        ("*** Begin Patch\n*** End Patch\nmore", "behind"),
    ],
)
def test_unreadable_patches_name_the_line(patch: str, why: str):
    with pytest.raises(UnreadablePatch, match=why):
        parse_patch(patch)


def applied(text: str, patch: str) -> str:
    (member,) = parse_patch(patch)
    return apply_hunks(TextFile(text), member)


def test_line_numbers_decide_between_equal_places_only():
    text = "a\nx\nb\nx\n"
    assert applied(text, "--- a/f\n+++ b/f\n@@ -4 +4 @@\n-x\n+y\n") == "a\nx\nb\ny\n"
    assert applied("b\nx\n", "--- a/f\n+++ b/f\n@@ -40 +40 @@\n-x\n+y\n") == "b\ny\n"
    with pytest.raises(PatchFailed, match="fits 2 places"):
        applied(text, "--- a/f\n+++ b/f\n@@ -3 +3 @@\n-x\n+y\n")


def test_folded_matching_keeps_what_is_kept():
    patch = "--- a/f\n+++ b/f\n@@\n a\n-b\n+c\n"
    assert applied("a  \r\nb\r\nz\r\n", patch) == "a  \r\nc\r\nz\r\n"
    assert applied("a“\nb\n", '--- a/f\n+++ b/f\n@@\n a"\n-b\n+c\n') == "a“\nc\n"


def test_an_applied_patch_is_recognised():
    with pytest.raises(PatchFailed, match="already applied"):
        applied("a\nc\n", "--- a/f\n+++ b/f\n@@ -1,2 +1,2 @@\n a\n-b\n+c\n")
    with pytest.raises(PatchFailed, match="nearest block starts at line 1"):
        applied("alpha beta\n", "--- a/f\n+++ b/f\n@@ -1 +1 @@\n-alpha betta\n+c\n")


def test_insertions_without_context():
    assert applied("a\nb\n", "--- a/f\n+++ b/f\n@@ -1,0 +2 @@\n+x\n") == "a\nx\nb\n"
    assert applied("a\n", "*** Begin Patch\n*** Update File: f\n+x\n*** End Patch") == "a\nx\n"
    assert applied("a\nb\n", "*** Begin Patch\n*** Update File: f\n@@ a\n+x\n*** End Patch") == "a\nx\nb\n"
    assert applied("x\ny\nx\n", "*** Begin Patch\n*** Update File: f\n-x\n+z\n*** End of File\n*** End Patch").endswith(
        "y\nz\n"
    )


def test_quoted_names_are_read_as_git_writes_them():
    (member,) = parse_patch('--- "a/\\303\\274 \\"x\\".py"\n+++ "b/\\303\\274 \\"x\\".py"\n@@ -1 +1 @@\n-a\n+b\n')
    assert member.paths == ['ü "x".py']
    (member,) = parse_patch("--- a/x.py\t2020-01-01\n+++ a/x.py\t2020-01-02\n@@ -1 +1 @@\n-a\n+b\n")
    assert member.paths == ["a/x.py"]


TEXTS = st.lists(
    st.sampled_from(["", "a", "b", "--- a", "+++ b", "-- ", "@@ -1 +1 @@", "\\ x", " c", "ü\r"]), max_size=14
)
ENDS = st.sampled_from(["", "\n"])


@given(before=TEXTS, after=TEXTS, ends=st.tuples(ENDS, ENDS))
def test_a_diff_of_ours_gives_the_target(before: list[str], after: list[str], ends: tuple[str, str]):
    old, new = "\n".join(before) + ends[0], "\n".join(after) + ends[1]
    diff = unified(old, new, old="a/f", new="b/f")
    if not diff:
        assert old == new
        return
    assert applied(old, diff) == new
    added, removed = counts(old, new)
    assert added == sum(line.startswith("+") for line in diff.split("\n")[2:])
    assert removed == sum(line.startswith("-") for line in diff.split("\n")[2:])


@given(before=TEXTS, after=TEXTS, ends=st.tuples(ENDS, ENDS))
def test_a_diff_of_git_gives_the_target(tmp_path_factory, before: list[str], after: list[str], ends: tuple[str, str]):
    old, new = "\n".join(before) + ends[0], "\n".join(after) + ends[1]
    folder = tmp_path_factory.mktemp("d")
    (folder / "old").write_bytes(old.encode())
    (folder / "new").write_bytes(new.encode())
    args = ["git", "diff", "--no-index", "--no-color", "-U1", "old", "new"]
    diff = subprocess.run(args, cwd=folder, capture_output=True, check=False).stdout.decode()
    if old != new:
        assert applied(old, diff) == new


async def test_planned_changes_show_as_one_diff(root: Path):
    space = LocalWorkspace(root, id="w")
    changes = await plan_patch(space, BEGIN)
    diff = diff_of(changes)
    assert "rename from b.py\nrename to e.py\n--- a/b.py\n+++ b/e.py" in diff
    assert "--- a/c.txt\n+++ /dev/null" in diff
    assert await patched(root, diff) == EXPECTED


def test_a_huge_rewrite_takes_bounded_time():
    before = "".join(f"{n}\n" for n in range(20_000))
    after = "".join(f"{n * 7}\n" for n in range(20_000))
    assert counts(before, after) == (19_999, 19_999)


async def test_adding_over_a_file_says_conflict(root: Path):
    with pytest.raises((PatchFailed, Conflict), match="exists already"):
        await patched(root, "*** Begin Patch\n*** Add File: a.py\n+x\n*** End Patch")


async def test_every_kind_of_change_is_rolled_back(root: Path):
    space = LocalWorkspace(root, id="w")
    changes = [*await plan_patch(space, BEGIN), FileChange("a.py/x", None, b"")]  # below a file: it cannot be made
    with pytest.raises(InvalidInput):
        await carry_out(space, changes)
    assert contents(root) == FILES


def test_the_two_forms_may_be_mixed():
    patch = "*** Begin Patch\n*** Update File: f\n@@ -3,1 +3,1 @@\n-x\n+y\n*** End Patch"
    assert applied("x\na\nx\n", patch) == "x\na\ny\n"
