"""Searching the text files of a jail, a line at a time, with RE2. Blocks."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from itertools import chain, groupby, islice

import re2

from ...core.errors import InvalidInput
from ..globs import quiet
from ..guarded import is_secret
from ..workspace import Match
from .jail import Jail

BIGGEST = 2_000_000
"""Files of more bytes are not searched."""

COUNTED = 20_000
"""So many hits beyond the limit are counted; then the search ends."""

LINE_CAP = 400
_SNIFF = 8_000


def compile_pattern(pattern: str, *, regex: bool) -> re2._Regexp:
    """Compile a pattern for one line at a time; `InvalidInput` says what RE2 cannot do."""
    if not pattern:
        raise InvalidInput("the pattern is empty: say what to search for")
    if "\n" in pattern or (regex and r"\n" in pattern):
        raise InvalidInput("a pattern matches within one line: search for the most telling line alone")
    options = quiet()
    options.never_nl = True  # a match never spans lines, so a file can be searched whole
    expression = f"(?m){pattern}" if regex else re2.escape(pattern)
    try:
        return re2.compile(expression.encode(), options)
    except re2.error as exc:
        why = exc.args[0].decode() if exc.args and isinstance(exc.args[0], bytes) else str(exc)
        raise InvalidInput(
            f"unsupported pattern ({why}): this is RE2, without look-around and back-references; "
            "rewrite it, or set regex=false to search for the text as it is"
        ) from exc


def search_files(jail: Jail, names: Sequence[str], pattern: re2._Regexp, limit: int) -> tuple[list[Match], int]:
    """Search files in the order given: at most `limit` matching lines, and how many more there were.

    Secret files are passed over.
    """
    hits = islice(_hits(jail, names, pattern), limit + COUNTED)
    found = [Match(name, line, raw[:LINE_CAP].decode("utf-8", "replace")) for name, line, raw in islice(hits, limit)]
    return found, sum(1 for _ in hits)


def _hits(jail: Jail, names: Sequence[str], pattern: re2._Regexp) -> Iterator[tuple[str, int, bytes]]:
    for name, data in _contents(jail, names):
        lines = _matching_lines(data, pattern)
        first = next(lines, None)
        if first is not None and not is_secret(name):
            yield from ((name, line, raw) for line, raw in chain([first], lines))


def _contents(jail: Jail, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
    for parent, group in groupby(names, key=lambda name: name.rpartition("/")[0]):
        try:
            with jail.folder(parent.split("/") if parent else ()) as folder:
                for name in group:
                    data = _text_of(folder, name.rpartition("/")[2])
                    if data is not None:
                        yield name, data
        except (OSError, InvalidInput):  # it went away, or became a symlink, since it was listed
            continue


def _text_of(folder: int, name: str) -> bytes | None:
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > BIGGEST:
            return None
        data = os.read(fd, status.st_size)
    finally:
        os.close(fd)
    return None if b"\0" in data[:_SNIFF] else data


def _matching_lines(data: bytes, pattern: re2._Regexp) -> Iterator[tuple[int, bytes]]:
    if b"\r\n" in data:
        data = data.replace(b"\r\n", b"\n")  # so that `$` means the end of the line there too
    line, start, size = 1, 0, len(data)
    while start < size and (hit := pattern.search(data, start)) is not None:
        if hit.start() >= size and data.endswith(b"\n"):
            return  # an empty match behind the last line
        begin = data.rfind(b"\n", 0, hit.start()) + 1
        line += data.count(b"\n", start, begin)
        end = data.find(b"\n", hit.start())
        yield line, data[begin : end if end >= 0 else size]
        if end < 0:
            return
        line, start = line + 1, end + 1
