"""The unified diff, as git and diff write it and as models miscount it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .patch_model import FilePatch, Hunk, Kind, UnreadablePatch, unreadable

_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_ESCAPES = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_REFUSED = {
    "GIT binary patch": "holds a binary patch, which is not supported",
    "Binary files ": "changes a binary file, which is not supported",
    "copy from ": "copies a file: write the copy as a new file instead",
    "new file mode 12": "makes a symlink, which is not supported",
    "new file mode 16": "makes a submodule, which is not supported",
    "new mode 1": "changes a file's mode, which is not supported",
}
_NOWHERE = "/dev/null"


class _Heading:
    """What stands before the hunks of one file."""

    def __init__(self) -> None:
        self.git = self.old = self.new = self.source = self.target = ""
        self.kind: Kind = "update"

    def read(self, line: str, at: int) -> None:
        for start, why in _REFUSED.items():
            if line.startswith(start):
                raise unreadable(at, line, why)
        for start, name in (("--- ", "old"), ("+++ ", "new"), ("rename from ", "source"), ("rename to ", "target")):
            if line.startswith(start):
                setattr(self, name, _path(line[len(start) :]))
        if line.startswith("diff --git "):
            self.git = _git_name(line.removeprefix("diff --git "))
        elif line.startswith(("new file mode", "deleted file mode")):
            self.kind = "add" if line[0] == "n" else "delete"

    def patch(self, at: int) -> FilePatch:
        if self.source and self.target:
            return FilePatch("update", self.source, self.target)
        old, new = _without_prefixes(self.old, self.new) if self.new else (self.git, self.git)
        kind: Kind = "add" if old == _NOWHERE else "delete" if new == _NOWHERE else self.kind
        path = new if kind == "add" else old
        if path in ("", _NOWHERE):
            raise UnreadablePatch(f"line {at + 1} of the patch starts a file but names no path")
        return FilePatch(kind, path, new if kind == "update" and new != old else None)


def parse_unified(lines: Sequence[str]) -> list[FilePatch]:
    """Read every file of a unified diff; words around it (a mail's, a commit's) are passed over."""
    patches: list[FilePatch] = []
    at = 0
    while at < len(lines):
        if lines[at].startswith("@@"):
            raise unreadable(at, lines[at], "starts a hunk before any `--- a/path` and `+++ b/path`")
        if _starts_file(lines, at):
            patch, at = _file(lines, at)
            patches.append(patch)
        else:
            at += 1
    return patches


def _starts_file(lines: Sequence[str], at: int) -> bool:
    return lines[at].startswith("diff --git ") or _names_both(lines, at)


def _names_both(lines: Sequence[str], at: int) -> bool:
    return lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ ")


def _file(lines: Sequence[str], at: int) -> tuple[FilePatch, int]:
    heading, begun = _Heading(), at
    while at < len(lines) and not lines[at].startswith("@@"):
        begins_next = lines[at].startswith("diff --git ") or (heading.new and _names_both(lines, at))
        if at > begun and begins_next:
            break
        heading.read(lines[at], at)
        at += 1
    patch = heading.patch(begun)
    while at < len(lines) and lines[at].startswith("@@"):
        hunk, at = _hunk(lines, at)
        patch.hunks.append(hunk)
    if patch.kind == "update" and not patch.hunks and patch.target is None:
        raise unreadable(begun, lines[begun], "starts a file that has no hunks")
    return patch, at


class _Body:
    """The lines of one hunk as they are taken in, and how many its heading still promises."""

    def __init__(self, heading: str) -> None:
        self.hunk = Hunk()
        self.old_left = self.new_left = 0
        self._blanks = 0
        numbers = _HUNK.match(heading)
        if numbers:
            start, old, new = (1 if number is None else int(number) for number in numbers.groups())
            self.hunk.start = start if old else start + 1  # `-5,0` inserts behind line 5
            self.old_left, self.new_left = old, new

    @property
    def counting(self) -> bool:
        return self.old_left > 0 or self.new_left > 0

    def take(self, line: str) -> None:
        if not line:
            self._blanks += 1  # context whose blank got lost, or layout behind the hunk: the next line tells
            self.old_left, self.new_left = self.old_left - 1, self.new_left - 1
            return
        self.hunk.lines += [(" ", "")] * self._blanks
        self._blanks = 0
        self.hunk.lines.append((line[0], line[1:]))
        self.old_left -= line[0] != "+"
        self.new_left -= line[0] != "-"

    def no_eol(self) -> None:
        sign = self.hunk.lines[-1][0] if self.hunk.lines else ""
        self.hunk.old_eol = self.hunk.old_eol and sign not in ("-", " ")
        self.hunk.new_eol = self.hunk.new_eol and sign not in ("+", " ")


def _hunk(lines: Sequence[str], at: int) -> tuple[Hunk, int]:
    body, begun = _Body(lines[at]), at
    at += 1
    while at < len(lines) and not _ends_hunk(body, lines, at):
        line = lines[at]
        if line.startswith("\\"):
            body.no_eol()
        elif not line or line[0] in " +-":
            body.take(line)
        elif body.counting:
            raise unreadable(at, line, "should start with a blank, + or -")
        else:
            break
        at += 1
    if all(sign == " " for sign, _text in body.hunk.lines):
        raise unreadable(begun, lines[begun], "starts a hunk that changes nothing")
    return body.hunk, at


def _ends_hunk(body: _Body, lines: Sequence[str], at: int) -> bool:
    line = lines[at]
    if line.startswith(("@@", "diff --git ")):
        return True
    if body.counting:
        return False  # `--- x` here is the removal of a line `-- x`
    return line == "-- " or _names_both(lines, at)


def _path(text: str) -> str:
    name = text.split("\t", maxsplit=1)[0].rstrip("\r") if not text.startswith('"') else text.strip()
    return _unquoted(name) if name.startswith('"') else name.strip()


def _unquoted(name: str) -> str:
    end = name.rfind('"')

    def plain(match: re.Match[bytes]) -> bytes:
        code = match.group(1)
        return bytes([int(code, 8) & 0xFF]) if code.isdigit() else _ESCAPES.get(code, code)

    return _ESCAPE.sub(plain, name[1:end].encode()).decode("utf-8", "surrogateescape")


def _git_name(names: str) -> str:
    """Take the name from `a/NAME b/NAME`; "" when the two differ (then other lines name them)."""
    half = len(names) // 2
    left, right = names[:half], names[half + 1 :]
    if left.startswith('"'):
        left, right = _unquoted(left), _unquoted(right)
    return left[2:] if left.startswith("a/") and right == f"b/{left[2:]}" else ""


def _without_prefixes(old: str, new: str) -> tuple[str, str]:
    left, right = old.startswith("a/") or old == _NOWHERE, new.startswith("b/") or new == _NOWHERE
    if not (left and right):
        return old, new
    return old.removeprefix("a/"), new.removeprefix("b/")
