"""The tools that list, read and change files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any

from langchain.tools import ToolRuntime
from langchain_core.tools import tool
from pydantic import Field

from ..core.errors import InvalidInput
from ..core.types import ToolGroup
from .blocks import EditBlocks
from .changes import FileChange, at_leisure, carry_out
from .context import RunContext
from .plans import plan_edit, plan_write
from .reading import block_around, lines_of, numbered_lines
from .spec import Effect, ToolSpec, Touched
from .textfile import decode, short_hash

Runtime = ToolRuntime[RunContext, Any]
_MOST_LINES = 2_000
_MOST_ENTRIES = 2_000

PathArg = Annotated[str, Field(description="Path relative to the workspace root")]
HashArg = Annotated[
    str | None, Field(description="sha256 from read_file: the edit is refused if the file changed since")
]


@tool
async def list_files(path: str = ".", *, recursive: bool = False, limit: int = 200, runtime: Runtime) -> str:
    """List a folder of the workspace; folders end in "/".

    With recursive=true every file below is listed, ignored ones (.gitignore) left out. At most `limit` entries
    (up to 2000).
    """
    limit = max(1, min(limit, _MOST_ENTRIES))
    entries, left_out = await runtime.context.workspace_handle.list(path, recursive=recursive, limit=limit)
    if not entries:
        return f"{path}: no entries"
    more = f"\n… {left_out} more: list a sub-folder, or raise limit (up to {_MOST_ENTRIES})" if left_out else ""
    return f"{path}: {len(entries) + left_out} entries\n" + "\n".join(entries) + more


@tool
async def read_file(
    path: PathArg, offset: int = 1, limit: int = 500, around_line: int | None = None, *, runtime: Runtime
) -> str:
    """Read a text file with numbered lines, `   12 | text`, under a header with its length and hash.

    Starts at line `offset` and shows at most `limit` lines (up to 2000). With around_line=N it shows the whole
    enclosing block (function, class) of line N instead. The numbers are not part of the file.
    """
    data = await runtime.context.workspace_handle.read(path)
    lines = lines_of(decode(data, path=path).text)
    head = f"{path} · {len(lines)} lines · {short_hash(data)}"
    if not lines:
        return f"{head}\n(the file is empty)"
    first, last = _window(lines, offset, max(1, min(limit, _MOST_LINES)), around_line)
    body, shown = numbered_lines(lines[first - 1 : last], first)
    end = first + shown - 1
    more = f"\n… {len(lines) - end} more lines: read on with offset={end + 1}" if end < len(lines) else ""
    return f"{head} · showing {first}-{end}\n{body}{more}"


@tool
async def write_file(path: PathArg, content: str, expected_hash: HashArg = None, *, runtime: Runtime) -> str:
    """Create a file, or replace its whole content; missing folders are made.

    Prefer edit_file for a change to an existing file.
    """
    return await perform(runtime, [await plan_write(runtime.context.workspace_handle, path, content, expected_hash)])


@tool
async def edit_file(path: PathArg, edits: EditBlocks, expected_hash: HashArg = None, *, runtime: Runtime) -> str:
    """Replace texts in a file: each `old` must stand there exactly once (or set replace_all), copied without numbers.

    All edits are applied, in order, or none. Keep `old` short but unique. For a new file use write_file.
    """
    workspace = runtime.context.workspace_handle
    change, notes = await plan_edit(workspace, path, [block.edit() for block in edits], expected_hash)
    return await perform(runtime, [change], notes)


@tool
async def delete_file(path: PathArg, *, runtime: Runtime) -> str:
    """Delete a file, or a folder that is empty."""
    await runtime.context.workspace_handle.delete(path)
    return f"deleted {path}"


@tool
async def move_file(source: PathArg, target: PathArg, *, runtime: Runtime) -> str:
    """Move or rename a file or folder; `target` must not exist, its missing parents are made."""
    await runtime.context.workspace_handle.move(source, target)
    return f"moved {source} to {target}"


@tool
async def create_directory(path: PathArg, *, runtime: Runtime) -> str:
    """Create a folder and its missing parents; an existing one is fine."""
    await runtime.context.workspace_handle.make_dir(path)
    return f"created folder {path}"


async def perform(runtime: Runtime, changes: Sequence[FileChange], notes: Sequence[str] = ()) -> str:
    """Carry changes out and tell what happened: a line per file, the notes, new syntax errors."""
    real = [change for change in changes if change.source is not None or change.before != change.after]
    if not real:
        return "nothing changed: the files already read so"
    await carry_out(runtime.context.workspace_handle, real)
    return await at_leisure(partial(_told, real, notes), real)


def _told(changes: Sequence[FileChange], notes: Sequence[str]) -> str:
    lines = [f"{change.summary()}{change.syntax_report()}" for change in changes]
    return "\n".join([*lines, *notes])


def _window(lines: Sequence[str], offset: int, limit: int, around_line: int | None) -> tuple[int, int]:
    asked = offset if around_line is None else around_line
    if asked > len(lines):
        raise InvalidInput(f"line {asked} is beyond the end: the file has {len(lines)} lines")
    if around_line is not None:
        return block_around(lines, max(1, around_line), limit)
    first = max(1, offset)
    return first, min(len(lines), first + limit - 1)


def _reads(args: Mapping[str, Any]) -> Touched:
    return Touched(reads=(path_of(args, "path", default="."),))


def _writes(args: Mapping[str, Any]) -> Touched:
    return Touched(writes=(path_of(args, "path"),))


def _both_ends(args: Mapping[str, Any]) -> Touched:
    return Touched(writes=(path_of(args, "source"), path_of(args, "target")))


def path_of(args: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """Take a path out of raw arguments; `InvalidInput` when it is missing or no text."""
    value = args.get(name, default)
    if not isinstance(value, str):
        raise InvalidInput(f"{name} must be a path relative to the workspace root")
    return value


SPECS: tuple[ToolSpec, ...] = (
    ToolSpec(list_files, ToolGroup.READ, touches=_reads),
    ToolSpec(read_file, ToolGroup.READ, touches=_reads),
    ToolSpec(write_file, ToolGroup.EDIT, Effect.FILES, _writes),
    ToolSpec(edit_file, ToolGroup.EDIT, Effect.FILES, _writes),
    ToolSpec(delete_file, ToolGroup.EDIT, Effect.FILES, _writes),
    ToolSpec(move_file, ToolGroup.EDIT, Effect.FILES, _both_ends),
    ToolSpec(create_directory, ToolGroup.EDIT, Effect.FILES, _writes),
)
