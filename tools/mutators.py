"""Which words of a command are paths that it writes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .commands import positionals, program
from .guarded import names

_WRITE_ALL = names("rm rmdir mv tee touch mkdir truncate unlink split")
_WRITE_LAST = names("cp ln install rsync")  # the rest is read
_GIT = names("rm mv checkout restore apply")


def written_words(argv: Sequence[str]) -> list[str]:
    """List the words of a simple command that name files it writes or deletes."""
    name, words = program(argv), positionals(argv)
    if name in _WRITE_LAST:
        into = [word.partition("=")[2] for word in argv if word.startswith("--target-directory=")]
        return into or (words if "-t" in argv else words[-1:])
    if name == "dd":
        return [word[3:] for word in argv if word.startswith("of=")]
    if name == "sed":
        return words[1:] if any(re.match(r"-[a-zA-Z]*i|--in-place", word) for word in argv[1:]) else []
    if name == "git":
        return words[1:] if argv[1:2] and argv[1] in _GIT else []
    if name in ("chmod", "chown", "uniq"):
        return words[1:]
    return words if name in _WRITE_ALL else []


def descends(argv: Sequence[str]) -> bool:
    """Whether a simple command reads whole folders, hidden files included."""
    name = program(argv)
    if name in ("tar", "zip", "rsync"):
        return True
    if name in ("rg", "ag"):
        return any(
            re.fullmatch(r"-[a-zA-Z]*[u.][a-zA-Z]*|--hidden|--no-ignore|--unrestricted", word) for word in argv[1:]
        )
    return name in ("grep", "egrep", "cp", "diff") and any(
        re.fullmatch(r"-[a-zA-Z]*[rRa][a-zA-Z]*|--recursive|--archive|--dereference-recursive", word)
        for word in argv[1:]
    )
