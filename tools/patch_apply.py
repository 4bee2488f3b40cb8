"""Applying the hunks of a patch to one file: exactly, or with line ends, quotes and trailing blanks folded. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.errors import InvalidInput
from .matching import fold
from .nearest import nearest_block, numbered
from .patch_model import FilePatch, Hunk
from .textfile import TextFile

_WORTH_SHOWING = 0.4


class PatchFailed(InvalidInput):
    """A member of the patch does not fit its file, so nothing was changed."""

    default_code = "patch_failed"


class _Lines:
    """A file as lines without their line feeds, and whether the last one has one."""

    def __init__(self, file: TextFile) -> None:
        self.all = file.text.split("\n")
        self.ends = self.all[-1] == ""
        if self.ends:
            self.all.pop()
        self.folded = [fold(line) for line in self.all]
        self.windows = file.eol == "\r\n"


def apply_hunks(file: TextFile, patch: FilePatch) -> str:
    """Apply every hunk of an update, or none; `PatchFailed` explains each that does not fit."""
    lines = _Lines(file)
    places: list[tuple[int, Hunk]] = []
    failures: list[str] = []
    cursor = 0
    for number, hunk in enumerate(patch.hunks, start=1):
        found = _place(lines, hunk, cursor)
        if isinstance(found, str):
            failures.append(f"{patch.path}: hunk {number} of {len(patch.hunks)} {found}")
        else:
            places.append((found, hunk))
            cursor = found + len(hunk.old)
    if failures:
        raise PatchFailed("\n".join(failures))
    return _spliced(lines, sorted(places, key=lambda place: place[0]), patch)


def added_text(patch: FilePatch) -> str:
    """Build the text of a new file."""
    new = [line for hunk in patch.hunks for line in hunk.new]
    ends = all(hunk.new_eol for hunk in patch.hunks)
    return "\n".join(new) + ("\n" if new and ends else "")


def _spliced(lines: _Lines, places: Sequence[tuple[int, Hunk]], patch: FilePatch) -> str:
    out: list[str] = []
    at, ends = 0, lines.ends
    for start, hunk in places:
        if start < at:
            raise PatchFailed(f"{patch.path}: two hunks change the same lines; make one of them")
        stop = start + len(hunk.old)
        out += lines.all[at:start] + _replacement(lines, start, hunk)
        if stop == len(lines.all):
            ends = _ends_after(hunk, ends=ends)
        at = stop
    out += lines.all[at:]
    text = "\n".join(out)
    return text + "\n" if out and ends else text


def _ends_after(hunk: Hunk, *, ends: bool) -> bool:
    said = not (hunk.old_eol and hunk.new_eol)
    return hunk.new_eol if said else ends


def _replacement(lines: _Lines, start: int, hunk: Hunk) -> list[str]:
    # Kept lines stay as the file has them; new ones get its line ends unless the patch shows that it carries them.
    carries = any(text.endswith("\r") for text in hunk.old)
    add = "\r" if lines.windows and not carries else ""
    out, at = [], start
    for sign, text in hunk.lines:
        if sign == "+":
            out.append(text.removesuffix("\r") + add if add else text)
            continue
        if sign == " ":
            out.append(lines.all[at])
        at += 1
    return out


def _place(lines: _Lines, hunk: Hunk, cursor: int) -> int | str:
    """Find the index where a hunk belongs, or say why there is none."""
    old = hunk.old
    if not old:
        return _insertion(lines, hunk)
    found = _occurrences(lines.all, old) or _occurrences(lines.folded, [fold(line) for line in old])
    if not found:
        return _why_not_found(lines, hunk)
    chosen = found if len(found) == 1 else _chosen(lines, hunk, found, cursor)
    if len(chosen) == 1:
        return chosen[0]
    where = ", ".join(str(at + 1) for at in found[:10])
    return f"fits {len(found)} places (lines {where}): give more lines of context"


def _chosen(lines: _Lines, hunk: Hunk, found: list[int], cursor: int) -> list[int]:
    if hunk.start is not None:
        return [at for at in found if at == hunk.start - 1]
    if hunk.at_end:
        return [at for at in found if at + len(hunk.old) == len(lines.all)]
    below = _below_headings(lines, hunk)
    if hunk.headings and below is not None:
        return [at for at in found if at >= below][:1]
    return [at for at in found if at >= cursor]


def _insertion(lines: _Lines, hunk: Hunk) -> int | str:
    if hunk.start is not None:
        at = hunk.start - 1
        return at if at <= len(lines.all) else f"inserts behind line {at}, but the file has {len(lines.all)} lines"
    below = _below_headings(lines, hunk)
    return "names a heading that is not in the file" if below is None else below if hunk.headings else len(lines.all)


def _below_headings(lines: _Lines, hunk: Hunk) -> int | None:
    at = 0
    for heading in hunk.headings:
        wanted = fold(heading).strip()
        hit = next((n for n in range(at, len(lines.folded)) if lines.folded[n].strip().startswith(wanted)), None)
        if hit is None:
            return None
        at = hit + 1
    return at


def _occurrences(lines: Sequence[str], block: Sequence[str]) -> list[int]:
    first, size = block[0], len(block)
    return [
        at for at in range(len(lines) - size + 1) if lines[at] == first and list(lines[at : at + size]) == list(block)
    ]


def _why_not_found(lines: _Lines, hunk: Hunk) -> str:
    new = [fold(line) for line in hunk.new]
    if new and any(sign == "+" for sign, _ in hunk.lines) and (there := _occurrences(lines.folded, new)):
        return f"was not found, but its result already stands at line {there[0] + 1}: is it already applied?"
    nearest = nearest_block(lines.folded, hunk.old)
    if nearest is None or nearest.similarity < _WORTH_SHOWING:
        return "was not found and nothing in the file looks like it: read the file again"
    shown = numbered(lines.folded, nearest.line, nearest.lines)
    return (
        f"was not found. The nearest block starts at line {nearest.line} ({nearest.similarity:.0%} similar); "
        f"copy its lines exactly:\n{shown}"
    )
