"""What a patch says, whichever form it came in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..core.errors import InvalidInput

Kind = Literal["add", "update", "delete"]


class UnreadablePatch(InvalidInput):
    """The text is not a patch; the message names the line."""

    default_code = "unreadable_patch"


@dataclass(slots=True)
class Hunk:
    """One stretch of change.

    Attributes:
        lines: (sign, text) with sign ` `, `-` or `+`; texts without their line feed.
        start: The line of the old file it starts at (from 1), if the patch says so; a hint only.
        headings: Texts of lines above it that tell where to look.
        at_end: It reaches the end of the file.
        old_eol: False where the patch says that the old file's last line has no line end.
        new_eol: Likewise for the new file.
    """

    lines: list[tuple[str, str]] = field(default_factory=list)
    start: int | None = None
    headings: list[str] = field(default_factory=list)
    at_end: bool = False
    old_eol: bool = True
    new_eol: bool = True

    @property
    def old(self) -> list[str]:
        """The lines that must stand there."""
        return [text for sign, text in self.lines if sign != "+"]

    @property
    def new(self) -> list[str]:
        """The lines that shall stand there."""
        return [text for sign, text in self.lines if sign != "-"]


@dataclass(slots=True)
class FilePatch:
    """What happens to one file; `target` is its new name when it moves."""

    kind: Kind
    path: str
    target: str | None = None
    hunks: list[Hunk] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """Every path it names."""
        return [self.path] if self.target is None else [self.path, self.target]


def unreadable(number: int, line: str, why: str) -> UnreadablePatch:
    """Make the error for one line (`number` counts from 0)."""
    return UnreadablePatch(f"line {number + 1} of the patch {why}: {line[:120]!r}")
