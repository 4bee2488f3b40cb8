"""The editing engine: find a text in a file and replace it, or say precisely why not. Pure.

A search text is tried as it is, then with line ends, quotes and trailing blanks normalised, then with one uniform
shift of the indentation. It must be found once (or `replace_all`). Similarity only ever helps to explain a failure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..core.errors import InvalidInput
from .matching import Found, exact, normalised, shifted
from .nearest import nearest_block, numbered
from .textfile import TextFile, adapt

_PREFIX = re.compile(r"^[ \t]*\d+ \|(?: |$)")
_WORTH_SHOWING = 0.4
_LINES_NAMED = 10
_TELLING = 8  # a shorter replacement stands in many files by chance


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old` by `new`: the one place where `old` stands, or every one."""

    old: str
    new: str
    replace_all: bool = False


@dataclass(frozen=True, slots=True)
class Edited:
    """The new text, and for each edit a sentence that says what happened."""

    text: str
    notes: Sequence[str]


class EditFailed(InvalidInput):
    """At least one edit could not be applied, so none was."""

    default_code = "edit_failed"


class _Block(Exception):  # noqa: N818 - a reason, gathered with the others
    """Why one edit cannot be applied."""


_LADDER: tuple[tuple[str, Callable[[str, str, str], Found]], ...] = (
    ("", exact),
    (" after normalising line ends, quotes and trailing blanks", normalised),
    (" after shifting the indentation", shifted),
)


def apply_edits(file: TextFile, edits: Sequence[Edit]) -> Edited:
    """Apply edits in order, all or none.

    Raises:
        EditFailed: Names every edit that failed, and why.
    """
    if not edits:
        raise EditFailed("no edits were given: pass at least one {old, new}")
    text, notes, failures = file.text, [], []
    for number, edit in enumerate(edits, start=1):
        label = f"edit {number} of {len(edits)}: " if len(edits) > 1 else ""
        try:
            text, note = _apply(text, edit, file)
            notes.append(f"{label}{note}")
        except _Block as block:
            failures.append(f"{label}{block}")
    if failures:
        raise EditFailed("nothing was changed.\n" + "\n".join(failures))
    return Edited(text, notes)


def strip_numbers(text: str) -> str | None:
    """Take off the `12 | ` that `read_file` puts before lines; None unless every line with text has it."""
    lines = text.split("\n")
    if not all(_PREFIX.match(line) or not line.strip() for line in lines) or not text.strip():
        return None
    return "\n".join(_PREFIX.sub("", line) for line in lines)


def _apply(text: str, edit: Edit, file: TextFile) -> tuple[str, str]:
    if not edit.old:
        raise _Block("`old` is empty: give the text to replace (write_file creates or replaces a whole file)")
    if edit.old == edit.new:
        raise _Block("`old` and `new` are identical: nothing would change")
    for old, new in _readings(edit, file):
        for how, rung in _LADDER:
            found = rung(text, old, new)
            if found:
                return _replace(text, found, edit, how)
    raise _Block(_why_not_found(text, edit, file))


def _readings(edit: Edit, file: TextFile) -> list[tuple[str, str]]:
    pairs = [(edit.old, edit.new)]
    bare = strip_numbers(edit.old)
    if bare is not None:
        new = strip_numbers(edit.new)
        pairs.append((bare, edit.new if new is None else new))
    return [(adapt(old, file), adapt(new, file)) for old, new in pairs]


def _replace(text: str, found: Found, edit: Edit, how: str) -> tuple[str, str]:
    starts = [text.count("\n", 0, place.start) + 1 for place in found[:_LINES_NAMED]]
    where = ", ".join(map(str, starts)) + (", …" if len(found) > _LINES_NAMED else "")
    if len(found) > 1 and not edit.replace_all:
        raise _Block(
            f"`old` was found {len(found)} times{how} (at lines {where}): add lines around it until it is unique, "
            "or set replace_all"
        )
    pieces, end, count = [], 0, 0
    for place in found:
        if place.start < end:
            continue  # overlapping occurrences: the first one wins
        pieces += [text[end : place.start], place.new]
        end, count = place.end, count + 1
    times = f"{count} places replaced" if count > 1 else "replaced"
    return "".join([*pieces, text[end:]]), f"{times} at line{'s' if count > 1 else ''} {where}{how}"


def _why_not_found(text: str, edit: Edit, file: TextFile) -> str:
    new = adapt(edit.new, file)
    if len(new.strip()) >= _TELLING and new in text:
        line = text.count("\n", 0, text.index(new)) + 1
        return f"`old` was not found, but `new` already stands at line {line}: is this edit already applied?"
    lines = text.replace("\r\n", "\n").split("\n")
    block = (strip_numbers(edit.old) or edit.old).replace("\r\n", "\n").strip("\n").split("\n")
    nearest = nearest_block(lines, block)
    if nearest is None or nearest.similarity < _WORTH_SHOWING:
        return "`old` was not found and nothing in the file looks like it: read the file again"
    return (
        f"`old` was not found. The nearest block starts at line {nearest.line} "
        f"({nearest.similarity:.0%} similar); copy the text exactly as it stands there:\n"
        f"{numbered(lines, nearest.line, nearest.lines)}"
    )
