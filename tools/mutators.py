"""Which words of a command are paths that it writes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .commands import positionals, program
from .guarded import names

_WRITE_ALL = names("rm rmdir mv tee touch mkdir truncate unlink split")
_WRITE_LAST = names("cp ln install rsync")  # the rest is read
_GIT = names("rm mv checkout restore apply")
# Programs whose target an option can name: its letters, its long form.
_NAMED = dict.fromkeys(names("cp mv ln install"), ("t", "--target-directory"))
_NAMED |= dict.fromkeys(names("gcc g++ cc c++ clang clang++ rustc javac kotlinc"), ("od", "--out-dir"))


def written_words(argv: Sequence[str]) -> list[str]:
    """List the words of a simple command that name files it writes or deletes."""
    name, words = program(argv), positionals(argv)
    into = _valued(argv, *_NAMED[name]) if name in _NAMED else []
    if name in _WRITE_LAST:
        return into or words[-1:]
    if name == "dd":
        return [word[3:] for word in argv if word.startswith("of=")]
    if name == "sed":
        return words[1:] if any(re.match(r"-[a-zA-Z]*i|--in-place", word) for word in argv[1:]) else []
    if name == "git":
        return words[1:] if argv[1:2] and argv[1] in _GIT else []
    if name in ("chmod", "chown", "uniq"):
        return words[1:]
    return [*(words if name in _WRITE_ALL else ()), *into]


def _valued(argv: Sequence[str], letters: str, long: str) -> list[str]:
    """List the values of an option, however it is spelled: `-t D`, `-rtD`, `--target-directory D`, `--targ=D`."""
    short, found = re.compile(rf"-[a-zA-Z]*?[{letters}](.*)", re.DOTALL), []
    for word, following in zip(argv, (*argv[1:], ""), strict=True):
        name, _, value = word.partition("=")
        if len(name) > 2 and long.startswith(name):  # noqa: PLR2004 - two dashes are no name
            found.append(value or following)
        elif match := short.fullmatch(word):
            found.append(match[1] or following)
    return [value for value in found if value]


def descends(argv: Sequence[str]) -> bool:
    """Whether a simple command reads whole folders, hidden files included."""
    name = program(argv)
    if name in ("tar", "zip", "rsync"):
        return True
    if name in ("rg", "ag"):
        return any(
            re.fullmatch(r"-[a-zA-Z]*[u.][a-zA-Z]*|--hidden|--no-ignore|--unrestricted", word) for word in argv[1:]
        )
    return name in ("grep", "egrep", "fgrep", "cp", "diff") and any(
        re.fullmatch(r"-[a-zA-Z]*[rRa][a-zA-Z]*|--(rec|arc|der|dir).*|-[a-zA-Z]*d|-drec.*", word) for word in argv[1:]
    )
