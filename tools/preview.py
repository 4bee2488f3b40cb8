"""What a person sees before they decide: a diff, a command with its warnings, questions, or plain text."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import partial
from typing import Any

from ..core.errors import CodeLabError
from .changes import FileChange, at_leisure, diff_of
from .guarded import LOOK_ALIKES
from .plans import plan
from .redact import redact
from .workspace import Workspace

LONGEST = 200_000
# Colours and cursor moves, numbers only: a wider pattern would take out text that a shell runs or a file holds.
_ANSI = re.compile(r"(?:\x1b\[|\x9b)(?:\d{1,4}(?:;\d{1,4})*)?[A-Za-z]")
_CONTROLS = frozenset(map(chr, (*range(0x20), *range(0x7F, 0xA0)))) - {"\t", "\n"}
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_INVISIBLE = frozenset(
    "\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180e\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\u3164\ufeff\uffa0"
)
_UNSEEN = _BIDI | _INVISIBLE | _CONTROLS

Preview = dict[str, Any]


async def preview(name: str, args: Mapping[str, Any], workspace: Workspace) -> Preview:
    """Show what a call would do. Never raises; what cannot be worked out is shown as text."""
    try:
        return await _preview(name, args, workspace)
    except (CodeLabError, OSError, ValueError, TypeError, KeyError, AttributeError) as exc:
        return _text(f"{exc}\n\n{_pretty(args)}")


async def _preview(name: str, args: Mapping[str, Any], workspace: Workspace) -> Preview:
    if name == "execute_command":
        command = args["command"]
        return {"kind": "command", "command": visible(command), "cwd": visible(args.get("cwd") or "."),
                "warnings": warnings(command)}  # fmt: skip
    if name == "prompt_user":
        return {"kind": "question", "questions": json.loads(json.dumps(args["questions"], default=_plain))}
    changes = await plan(name, args, workspace)
    if changes is None:
        return _text(_pretty(args))
    return await at_leisure(partial(_diff, changes, args.get("message")), changes)


def _diff(changes: tuple[FileChange, ...], message: Any) -> Preview:
    paths = [path for change in changes for path in (change.source, change.path) if path]
    shown = {
        "kind": "diff",
        "diff": _cut(redact(visible(diff_of(changes)))),
        "files": [visible(path) for path in paths],
    }
    if found := [warning for path in paths for warning in warnings(path)]:
        shown["warnings"] = found
    return {**shown, "message": visible(message)} if isinstance(message, str) else shown


def _text(text: str) -> Preview:
    return {"kind": "text", "text": _cut(redact(visible(text)))}


def _pretty(args: Mapping[str, Any]) -> str:
    return "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False, default=_plain)}" for key, value in args.items())


def _plain(value: Any) -> Any:
    return value.model_dump() if hasattr(value, "model_dump") else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n[… {len(text) - LONGEST} characters more …]"


def visible(text: str) -> str:
    """Write out what would make a terminal or a page show something else than is there; colours alone are dropped."""
    plain = _ANSI.sub("", text.replace("\r\n", "\n"))
    return "".join(f"<U+{ord(char):04X}>" if char in _UNSEEN else char for char in plain)


def warnings(text: str) -> list[str]:
    """Say what in a command or path may deceive the eye: direction marks, invisible characters, look-alike letters."""
    found = []
    if _BIDI.intersection(text):
        found.append("it holds characters that reverse the direction of text")
    if (_INVISIBLE | _CONTROLS).intersection(text.replace("\r\n", "\n")):
        found.append("it holds characters that cannot be seen")
    if mixed := [word for word in re.findall(r"\w+", text) if _is_mixed(word)]:
        found.append(f"it mixes alphabets in one word: {', '.join(mixed[:5])}")
    return found


def _is_mixed(word: str) -> bool:
    """Whether a word mixes Latin with letters of another alphabet that look like Latin ones."""
    latin = any(char.isalpha() and unicodedata.name(char, "").startswith("LATIN") for char in word)
    return latin and any(ord(char) in LOOK_ALIKES for char in word.casefold())
