"""The tool that searches files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Literal

from langchain_core.tools import tool

from ..core.types import ToolGroup
from .files import Runtime, path_of
from .spec import ToolSpec, Touched
from .workspace import Match

OutputMode = Literal["content", "files", "count"]
_MOST_HITS = 300
_MOST_LINES = 10_000


@tool
async def search_files(
    pattern: str,
    *,
    path: str = ".",
    glob: str | None = None,
    regex: bool = True,
    output_mode: OutputMode = "content",
    limit: int = 100,
    runtime: Runtime,
) -> str:
    """Search text files line by line, case-sensitively ((?i) at the start of the pattern ignores case).

    `pattern` is an RE2 expression (no look-around, no back-references); regex=false searches for the text as it is.
    `glob` narrows the files ("*.py", "src/**/*.ts"). output_mode: content (lines with numbers), files (names only) or
    count (hits per file). At most `limit` results (up to 300). Ignored (.gitignore), binary and secret files and files
    over 2 MB are left out.
    """
    limit = max(1, min(limit, _MOST_HITS))
    wanted = limit if output_mode == "content" else _MOST_LINES
    hits, left_out = await runtime.context.workspace_handle.search(
        pattern, path=path, glob=glob, regex=regex, limit=wanted
    )
    if not hits:
        where = f"{path}{f' ({glob})' if glob else ''}"
        return f"no match in {where}: check the spelling, try (?i), a shorter pattern or another glob"
    return _content(hits, left_out) if output_mode == "content" else _per_file(hits, left_out, output_mode, limit)


def _content(hits: Sequence[Match], left_out: int) -> str:
    parts = [
        "\n".join([path, *(f"{hit.line:>5} | {hit.text}" for hit in group)])
        for path, group in groupby(hits, key=lambda hit: hit.path)
    ]
    more = f"\n… at least {left_out} more lines match: narrow path, glob or pattern" if left_out else ""
    return "\n".join(parts) + more


def _per_file(hits: Sequence[Match], left_out: int, mode: OutputMode, limit: int) -> str:
    found = Counter(hit.path for hit in hits)
    lines = [path if mode == "files" else f"{count:>5}  {path}" for path, count in found.items()]
    total = f"{len(hits)} matching lines in {len(lines)} files" + (
        f" (and at least {left_out} more)" if left_out else ""
    )
    more = f"\n… {len(lines) - limit} more files: narrow path or glob" if len(lines) > limit else ""
    return "\n".join([total, *lines[:limit]]) + more


def _touches(args: Mapping[str, Any]) -> Touched:
    return Touched(reads=(path_of(args, "path", default="."),))


SPECS: tuple[ToolSpec, ...] = (ToolSpec(search_files, ToolGroup.READ, touches=_touches),)
