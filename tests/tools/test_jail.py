"""The jail: whatever a path says, nothing outside the root is read, written, moved or deleted."""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codelab.core.errors import CodeLabError, InvalidInput
from codelab.tools.workspaces import disk
from codelab.tools.workspaces.jail import Jail

SECRET = b"outside"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return build(tmp_path)


def build(base: Path) -> Path:
    """A root with files and links of every kind, beside a folder that must stay untouched."""
    root, outside = base / "root", base / "outside"
    (root / "sub").mkdir(parents=True)
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    (root / "a.txt").write_text("a")
    (root / "sub" / "b.txt").write_text("b")
    (root / "inner").symlink_to("sub")
    (root / "up").symlink_to("..")
    (root / "escape").symlink_to(outside)
    (root / "file").symlink_to(outside / "secret.txt")
    (root / "dangling").symlink_to(outside / "new.txt")
    (root / "loop").symlink_to("loop")
    (root / "sub" / "abs").symlink_to("/")
    return root


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


STEPS = st.sampled_from(
    [
        *("..", ".", "", "~", "a.txt", "sub", "b.txt", "inner", "up", "escape", "file", "dangling", "loop", "abs"),
        *("secret.txt", "outside", "root", "new.txt"),
        *("．．", "..／..", "‥", "..%2f", "..\\..", "sub\0x", "／etc", "аbs", "..\u200b"),
    ]
)
LEADS = st.sampled_from(["", "/", "//", "./", "~/"])
PATHS = st.builds(lambda lead, steps: lead + "/".join(steps), LEADS, st.lists(STEPS))
REFUSED = ["", " ", "a\0b", "~", "~/x", "../x", "/etc/passwd", "escape/x", "up/x", "file", "dangling"]


@given(named=PATHS, other=PATHS, kind=st.sampled_from(["read", "write", "delete", "move", "make_dir"]))
@settings(max_examples=300, deadline=None)
def test_nothing_outside_is_touched(named: str, other: str, kind: str):
    with TemporaryDirectory() as base:
        root = build(Path(base))
        before = snapshot(Path(base) / "outside")
        beside = sorted(Path(base).iterdir())
        read = attempt(Jail(root), kind, named, other)
        assert read != SECRET
        assert snapshot(Path(base) / "outside") == before
        assert sorted(Path(base).iterdir()) == beside


def attempt(jail: Jail, kind: str, named: str, other: str) -> bytes | None:
    try:
        if kind == "read":
            return disk.read(jail, named, 100)
        if kind == "write":
            disk.write(jail, named, b"mine")
        elif kind == "move":
            disk.move(jail, named, other)
        else:
            getattr(disk, kind)(jail, named)
    except (CodeLabError, OSError):
        return None
    return None


@given(named=st.text(max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_resolved_path_is_real_and_inside(named: str):
    with TemporaryDirectory() as base:
        jail = Jail(build(Path(base)))
        try:
            parts = jail.resolve(named)
        except InvalidInput:
            return
        assert ".." not in parts
        assert Path(os.path.realpath(jail.root.joinpath(*parts))) == jail.root.joinpath(*parts)


@pytest.mark.parametrize("named", REFUSED)
def test_refusals_say_what_to_do(home: Path, named: str):
    with pytest.raises(InvalidInput, match="path refused") as caught:
        Jail(home).resolve(named)
    assert caught.value.code == "path_refused"


def test_an_absolute_path_inside_is_accepted(home: Path):
    jail = Jail(home)
    assert jail.resolve(str(home / "sub" / "b.txt")) == ("sub", "b.txt")
    assert jail.resolve("inner/b.txt") == ("sub", "b.txt")
    assert jail.resolve("sub/../inner/./b.txt") == ("sub", "b.txt")


def test_a_look_alike_is_another_file(home: Path):
    jail = Jail(home)
    disk.write(jail, "．．/secret.txt", b"mine")  # two FULLWIDTH FULL STOPs are a folder's name
    disk.write(jail, "а.txt", b"mine")  # CYRILLIC SMALL LETTER A
    assert (home / "．．" / "secret.txt").read_bytes() == b"mine"
    assert (home / "a.txt").read_text() == "a"
    assert not (home.parent / "secret.txt").exists()


@pytest.mark.parametrize("named", [".", "sub/..", "./", "sub/../.", "inner/.."])
def test_the_root_cannot_be_deleted_or_moved(home: Path, named: str):
    with pytest.raises(InvalidInput, match="path refused"):
        disk.delete(Jail(home), named)
    with pytest.raises(InvalidInput, match="path refused"):
        disk.move(Jail(home), named, "elsewhere")


class SwappingJail(Jail):
    """A jail beside which somebody replaces `sub` by a link right after every check."""

    def resolve(self, named: str) -> tuple[str, ...]:
        parts = super().resolve(named)
        self._swap()
        return parts

    def entry(self, named: str) -> tuple[str, ...]:
        parts = super().entry(named)
        self._swap()
        return parts

    def _swap(self) -> None:
        if not (self.root / "sub").is_symlink():
            (self.root / "sub").rename(self.root / "aside")
            (self.root / "sub").symlink_to(self.root.parent / "outside")
        (self.root / "a.txt").unlink(missing_ok=True)
        (self.root / "a.txt").symlink_to(self.root.parent / "outside" / "secret.txt")


@pytest.mark.parametrize("named", ["sub/secret.txt", "a.txt"])
def test_a_symlink_swapped_in_after_the_check_leads_nowhere(home: Path, named: str):
    before = snapshot(home.parent / "outside")
    jail = SwappingJail(home)
    with pytest.raises((InvalidInput, FileNotFoundError)):
        disk.read(jail, named, 100)
    with pytest.raises(InvalidInput):
        disk.write(jail, named, b"mine")
    with pytest.raises(InvalidInput):
        disk.delete(jail, "sub/secret.txt")
    with pytest.raises(InvalidInput):
        disk.move(jail, "sub/secret.txt", "stolen.txt")
    with pytest.raises(InvalidInput):
        disk.move(jail, "inner", "sub/planted")
    with pytest.raises(InvalidInput):
        disk.make_dir(jail, "sub/planted")
    assert snapshot(home.parent / "outside") == before
