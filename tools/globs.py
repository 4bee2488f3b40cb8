"""Globs of paths as RE2 expressions: linear time whatever the pattern."""

from __future__ import annotations

import re2

from ..core.errors import InvalidInput


def compile_glob(glob: str) -> re2._Regexp:
    """Compile a glob over relative POSIX paths; one without `/` is tried on the last step alone.

    `*` and `?` stop at `/`, `**/` stands for any folders, `[ab]` `[!ab]` and `{a,b}` work. Use `fullmatch`.
    """
    pattern = glob.removeprefix("./").removeprefix("/")
    body = _translate(pattern)
    if "/" not in pattern:
        body = f"(?:.*/)?{body}"
    try:
        return re2.compile(f"(?s:{body})", quiet())
    except re2.error as exc:
        raise InvalidInput(f"unreadable glob {glob!r}: use *, **, ?, [ab] and {{a,b}}") from exc


def quiet() -> re2.Options:
    """Make RE2 options that report an error by raising alone."""
    options = re2.Options()
    options.log_errors = False
    return options


_SIMPLE = {"?": "[^/]", "{": "(?:", "}": ")", "*": "[^/]*"}


def _translate(glob: str) -> str:
    out: list[str] = []
    at, depth = 0, 0
    while at < len(glob):
        piece, at = _token(glob, at, in_braces=depth > 0)
        depth += (piece == "(?:") - (piece == ")")
        out.append(piece)
    return "".join(out)


def _token(glob: str, at: int, *, in_braces: bool) -> tuple[str, int]:
    if glob.startswith("**/", at):
        return "(?:.*/)?", at + 3
    if glob.startswith("**", at):
        return ".*", at + 2
    char = glob[at]
    if char == "[" and (end := glob.find("]", at + 2)) > 0:
        return _set(glob[at + 1 : end]), end + 1
    if char == "," and in_braces:
        return "|", at + 1
    return _SIMPLE.get(char) or re2.escape(char), at + 1


def _set(inner: str) -> str:
    negated = inner[0] in "!^"
    chars = inner[1:] if negated else inner
    escaped = chars.replace("\\", "\\\\").replace("[", "\\[").replace("^", "\\^")
    return f"[{'^/' if negated else ''}{escaped}]"
