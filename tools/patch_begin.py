"""The `*** Begin Patch` form."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .patch_model import FilePatch, Hunk, Kind, UnreadablePatch, unreadable

_KINDS: dict[str, Kind] = {"*** Add File: ": "add", "*** Update File: ": "update", "*** Delete File: ": "delete"}
_NUMBERS = re.compile(r"@@ -(\d+)(?:,[1-9]\d*)? \+\d+(?:,\d+)? @@")
_MOVE = "*** Move to: "
_END_OF_FILE = "*** End of File"
_END = "*** End Patch"


def parse_begin(lines: Sequence[str], begins: int) -> list[FilePatch]:
    """Read the form from its first line on; what follows `*** End Patch` must be blank."""
    patches: list[FilePatch] = []
    at = begins + 1
    while at < len(lines) and lines[at].rstrip() != _END:
        if lines[at].strip():
            patch, at = _file(lines, at)
            patches.append(patch)
        else:
            at += 1
    rest = next((n for n in range(at + 1, len(lines)) if lines[n].strip()), None)
    if rest is not None:
        raise unreadable(rest, lines[rest], "stands behind *** End Patch")
    return patches


def _file(lines: Sequence[str], at: int) -> tuple[FilePatch, int]:
    line = lines[at]
    head = next((head for head in _KINDS if line.startswith(head)), None)
    if head is None:
        raise unreadable(at, line, "should be *** Add File:, *** Update File: or *** Delete File:")
    patch = FilePatch(_KINDS[head], line[len(head) :].strip())
    if not patch.path:
        raise unreadable(at, line, "names no path")
    at += 1
    if patch.kind == "update" and at < len(lines) and lines[at].startswith(_MOVE):
        patch.target = lines[at][len(_MOVE) :].strip()
        at += 1
    return _body(patch, lines, at)


def _body(patch: FilePatch, lines: Sequence[str], at: int) -> tuple[FilePatch, int]:
    while at < len(lines) and not _is_marker(lines[at]):
        _take(patch, lines[at], at)
        at += 1
    for hunk in patch.hunks:
        _drop_trailing_blanks(hunk)
    patch.hunks = [hunk for hunk in patch.hunks if hunk.lines]
    _check(patch)
    return patch, at


def _take(patch: FilePatch, line: str, at: int) -> None:
    if line.startswith("@@") and patch.kind == "update":
        if not patch.hunks or patch.hunks[-1].lines:
            patch.hunks.append(Hunk())
        _read_place(patch.hunks[-1], line)
        return
    if not patch.hunks or patch.hunks[-1].at_end:
        patch.hunks.append(Hunk())
    hunk = patch.hunks[-1]
    if line.rstrip() == _END_OF_FILE:
        hunk.at_end = True
    elif not line or line[0] in " +-":
        hunk.lines.append((line[0], line[1:]) if line else (" ", ""))
    else:
        raise unreadable(at, line, "should start with a blank, + or -")


def _read_place(hunk: Hunk, line: str) -> None:
    numbers = _NUMBERS.match(line)  # of the other form, mixed in
    heading = line[2:].removesuffix("@@").strip()
    if numbers:
        hunk.start = int(numbers.group(1))
    elif heading:
        hunk.headings.append(heading)


def _check(patch: FilePatch) -> None:
    signs = {sign for hunk in patch.hunks for sign, _text in hunk.lines}
    if patch.kind == "add" and not signs <= {"+"}:
        raise UnreadablePatch(f"every line of the new file {patch.path!r} must start with +")
    if patch.kind == "delete" and signs:
        raise UnreadablePatch(f"nothing may follow *** Delete File: {patch.path}")
    if patch.kind == "update" and not patch.hunks and patch.target is None:
        raise UnreadablePatch(f"the update of {patch.path!r} changes nothing: give its - and + lines")


def _is_marker(line: str) -> bool:
    return line.startswith((*_KINDS, _END))


def _drop_trailing_blanks(hunk: Hunk) -> None:
    # Blank lines between files are layout, not context.
    while hunk.lines and hunk.lines[-1] == (" ", ""):
        hunk.lines.pop()
