"""How a file is shown to a model: numbered lines, caps, and the block around a line. Pure."""

from __future__ import annotations

from collections.abc import Sequence

LINE_CAP = 2_000
CHAR_CAP = 60_000
_DECORATION = ("@", "#", "//", "///", "/*", "*", "--")
_CLOSING = ("}", ")", "]", "end", "</")


def numbered_lines(lines: Sequence[str], first: int) -> tuple[str, int]:
    """Number lines from `first` on; the text, and how many lines fitted into the cap."""
    out: list[str] = []
    size = 0
    for number, line in enumerate(lines, start=first):
        shown = line if len(line) <= LINE_CAP else f"{line[:LINE_CAP]}… ({len(line) - LINE_CAP} more characters)"
        size += len(shown) + 9
        if size > CHAR_CAP and out:
            break
        out.append(f"{number:>5} | {shown}")
    return "\n".join(out), len(out)


def lines_of(text: str) -> list[str]:
    """Split a text into lines without their line ends; a trailing one starts no further line."""
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if lines[-1] == "":
        lines.pop()
    return lines


def block_around(lines: Sequence[str], line: int, limit: int) -> tuple[int, int]:
    """Find the largest block by indentation that holds `line` and fits into `limit` lines.

    Returns:
        First and last line, from 1. Where no block fits, a window around the line.
    """
    anchor = _with_text(lines, line - 1)
    chosen: tuple[int, int] | None = None
    header: int | None = anchor if _opens(lines, anchor) else _header_above(lines, anchor)
    while header is not None:
        start, end = _decorated(lines, header), _end_of(lines, header)
        if end - start + 1 > limit:
            break
        chosen = start, end
        header = _header_above(lines, header)
    if chosen is None:
        start = max(0, min(anchor - limit // 2, len(lines) - limit))
        chosen = start, min(len(lines), start + limit) - 1
    return chosen[0] + 1, chosen[1] + 1


def _with_text(lines: Sequence[str], at: int) -> int:
    above = (n for n in range(at, -1, -1) if lines[n].strip())
    return next(above, at)


def _indent(line: str) -> int:
    text = line.expandtabs(4)
    return len(text) - len(text.lstrip())


def _opens(lines: Sequence[str], at: int) -> bool:
    below = next((line for line in lines[at + 1 :] if line.strip()), "")
    return _indent(below) > _indent(lines[at])


def _header_above(lines: Sequence[str], at: int) -> int | None:
    indent = _indent(lines[at])
    if indent == 0:
        return None
    return next((n for n in range(at - 1, -1, -1) if lines[n].strip() and _indent(lines[n]) < indent), None)


def _decorated(lines: Sequence[str], header: int) -> int:
    indent, at = _indent(lines[header]), header
    while at > 0 and _indent(lines[at - 1]) == indent and lines[at - 1].strip().startswith(_DECORATION):
        at -= 1
    return at


def _end_of(lines: Sequence[str], header: int) -> int:
    indent, end = _indent(lines[header]), header
    for at in range(header + 1, len(lines)):
        line = lines[at].strip()
        if line and _indent(lines[at]) <= indent:
            return at if line.startswith(_CLOSING) and _indent(lines[at]) == indent else end
        end = at if line else end
    return end
