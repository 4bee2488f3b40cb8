"""What reaches the terminal. Text of models and tools is stripped of everything that could steer it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.text import Text

# Whole escape sequences first (CSI, OSC, the rest), then any control character left over, then what reorders text.
_UNSAFE: Final = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[PX^_][^\x1b]*\x1b\\|\x1b[@-Z\\^_]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
    r"|[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_LINE_STYLES: Final = (("+++", "bold"), ("---", "bold"), ("@@", "cyan"), ("+", "green"), ("-", "red"))


def clean(text: str) -> str:
    """Remove escape sequences, control characters (but tab and newline) and marks that reorder text."""
    return _UNSAFE.sub("", text.replace("\r\n", "\n"))


def new_console(*, stderr: bool = False) -> Console:
    """A console that prints what it is given: no markup, no emoji, no guessing at colours (`NO_COLOR` holds)."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


def coloured_diff(diff: str) -> Text:
    """A unified diff in colours."""
    text = Text()
    for line in clean(diff).splitlines():
        style = next((style for start, style in _LINE_STYLES if line.startswith(start)), "")
        text.append(line + "\n", style=style)
    return text


def brief(text: str, *, lines: int = 8, width: int = 160) -> str:
    """The first lines of a text, with a note of how much was left out."""
    shown = clean(text).rstrip().splitlines()
    cut = [line if len(line) <= width else line[: width - 1] + "…" for line in shown[:lines]]
    if len(shown) > lines:
        cut.append(f"… +{len(shown) - lines}")
    return "\n".join(cut)


def local_time(moment: str) -> str:
    """An ISO moment as the clock on the wall shows it."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
