"""Syntax errors that an edit brought in. Those that were there before are nobody's news, and none blocks an edit."""

from __future__ import annotations

import json
import threading
import tomllib
import warnings
from collections.abc import Callable
from pathlib import PurePosixPath

import yaml

_BIGGEST = 1_000_000
_COMMENTED_JSON = ("tsconfig", "jsconfig", "devcontainer", "settings", "launch", "tasks", "extensions")

Problem = tuple[str, str]
"""What is wrong, once without its place (to compare two versions by) and once with it (to show)."""

_warnings_lock = threading.Lock()  # the filters are the process's


def new_errors(path: str, before: str | None, after: str) -> list[str]:
    """Name the syntax errors of `after` that `before` did not have; empty for kinds of file not known. Blocks."""
    check = _checker(path, after)
    if check is None or len(after) > _BIGGEST:
        return []
    found = check(after)
    if found is None:
        return []
    known = check(before) if before is not None and len(before) <= _BIGGEST else None
    return [] if known is not None and known[0] == found[0] else [found[1]]


def report(path: str, before: str | None, after: str) -> str:
    """Write a paragraph about new syntax errors for the result of an edit; empty when there are none."""
    errors = new_errors(path, before, after)
    return f"\nThis edit brought in a syntax error, fix it: {'; '.join(errors)}" if errors else ""


def _checker(path: str, after: str) -> Callable[[str], Problem | None] | None:
    name = PurePosixPath(path)
    suffix = name.suffix.lower()
    commented = suffix == ".json" and name.stem.startswith(_COMMENTED_JSON)
    templated = suffix in (".yaml", ".yml") and "{{" in after
    return None if commented or templated else _CHECKERS.get(suffix)


def _python(text: str) -> Problem | None:
    try:
        with _warnings_lock, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<edit>", "exec", dont_inherit=True)
    except SyntaxError as exc:
        return _problem("Python", exc.msg, exc.lineno, (exc.text or "").strip())
    except (ValueError, RecursionError, MemoryError) as exc:
        return _problem("Python", str(exc) or "nested too deeply", None, "")
    return None


def _json(text: str) -> Problem | None:
    try:
        json.loads(text)
    except json.JSONDecodeError as exc:
        return _problem("JSON", exc.msg, exc.lineno, _line(text, exc.lineno))
    except RecursionError:
        return _problem("JSON", "nested too deeply", None, "")
    return None


def _toml(text: str) -> Problem | None:
    try:
        tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as exc:
        what, _, place = str(exc).partition(" (at ")
        return (f"TOML: {what}", f"TOML: {what}{f' (at {place}' if place else ''}")
    except RecursionError:
        return _problem("TOML", "nested too deeply", None, "")
    return None


def _yaml(text: str) -> Problem | None:
    try:
        for _event in yaml.parse(text, Loader=yaml.SafeLoader):  # syntax only: nothing is constructed
            pass
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else None
        return _problem("YAML", exc.problem or "unreadable", line, _line(text, line))
    except (yaml.YAMLError, RecursionError) as exc:
        return _problem("YAML", str(exc), None, "")
    return None


def _problem(kind: str, what: str, line: int | None, source: str) -> Problem:
    where = f" (line {line}: {source[:120]})" if line and source else f" (line {line})" if line else ""
    return f"{kind}: {what} {source}", f"{kind}: {what}{where}"


def _line(text: str, number: int | None) -> str:
    lines = text.splitlines()
    return lines[number - 1].strip() if number and number <= len(lines) else ""


_CHECKERS: dict[str, Callable[[str], Problem | None]] = {
    ".py": _python,
    ".pyi": _python,
    ".json": _json,
    ".toml": _toml,
    ".yaml": _yaml,
    ".yml": _yaml,
}
