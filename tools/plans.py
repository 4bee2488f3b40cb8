"""What an edit tool would do, worked out without doing it: the tool carries it out, the preview shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ..core.errors import Conflict, InvalidInput
from .blocks import EditBlocks
from .changes import FileChange
from .editing import Edit, apply_edits
from .patch_apply import PatchFailed, added_text, apply_hunks
from .patch_format import parse_patch
from .patch_model import FilePatch
from .textfile import TextFile, adapt, check_hash, decode
from .workspace import Workspace

_BLOCKS: TypeAdapter[EditBlocks] = TypeAdapter(EditBlocks)


async def plan_write(workspace: Workspace, path: str, content: str, expected_hash: str | None = None) -> FileChange:
    """Plan a whole new content; line ends, mark and encoding of an existing text file are kept."""
    real, before = await _read(workspace, path)
    check_hash(before, expected_hash, path=path)
    return FileChange(real, before, _dressed(content, before, path).encode())


async def plan_edit(
    workspace: Workspace, path: str, edits: Sequence[Edit], expected_hash: str | None = None
) -> tuple[FileChange, Sequence[str]]:
    """Plan exact replacements; the change and a note for each edit."""
    real, before = await _read(workspace, path)
    if before is None:
        before = await workspace.read(path)  # says what there is instead
    check_hash(before, expected_hash, path=path)
    file = decode(before, path=path)
    try:
        edited = await asyncio.to_thread(apply_edits, file, edits)
    except InvalidInput as exc:
        raise type(exc)(f"{path}: {exc.message}", code=exc.code) from exc
    return FileChange(real, before, file.with_text(edited.text).encode()), edited.notes


async def plan_patch(workspace: Workspace, patch: str) -> tuple[FileChange, ...]:
    """Plan a patch over all its files; a member that does not fit fails the whole."""
    draft = _Draft(workspace)
    failures: list[str] = []
    for member in parse_patch(patch):
        try:
            await draft.apply(member)
        except (PatchFailed, FileNotFoundError, Conflict) as exc:
            failures.append(str(exc))
    if failures:
        raise PatchFailed("nothing was changed.\n" + "\n".join(failures))
    return draft.changes()


async def plan(name: str, args: Mapping[str, Any], workspace: Workspace) -> tuple[FileChange, ...] | None:
    """Plan a call of an edit tool by its name and raw arguments.

    Returns:
        The changes; None for tools that plan nothing.

    Raises:
        InvalidInput: The call would be refused; so say all the errors the tool itself would raise.
    """
    planner = _PLANNERS.get(name)
    if planner is None:
        return None
    try:
        return await planner(workspace, args)
    except (KeyError, TypeError, ValidationError) as exc:
        raise InvalidInput(f"{name} cannot be called with these arguments: {exc}") from exc


class _Draft:
    """Files as the members of a patch leave them one after another, by real path."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._before: dict[str, bytes | None] = {}
        self._after: dict[str, bytes | None] = {}
        self._sources: dict[str, str] = {}

    async def apply(self, member: FilePatch) -> None:
        path = await self._open(member.path)
        data = self._after[path]
        if member.kind == "add":
            if data is not None:
                raise Conflict(f"{member.path}: the patch adds a file that exists already; update it instead")
            self._after[path] = _dressed(added_text(member), None, path).encode()
            return
        if data is None:
            raise FileNotFoundError(f"{member.path}: there is no such file to {member.kind}")
        file = decode(data, path=member.path)
        updated = await asyncio.to_thread(apply_hunks, file, member)
        if member.kind == "delete":
            self._after[path] = None
        elif member.target is None:
            self._after[path] = file.with_text(updated).encode()
        else:
            await self._move(path, member.target, file.with_text(updated).encode())

    def changes(self) -> tuple[FileChange, ...]:
        after = self._after
        sources = {new: old for new, old in self._sources.items() if after[new] is not None and after[old] is None}
        moved = set(sources.values())
        return tuple(
            FileChange(path, self._before[sources.get(path, path)], data, sources.get(path))
            for path, data in after.items()
            if path not in moved and (path in sources or data != self._before[path])
        )

    async def _open(self, named: str) -> str:
        path, data = await _read(self._workspace, named)
        if path not in self._before:
            self._before[path] = self._after[path] = data
        return path

    async def _move(self, path: str, target: str, data: bytes) -> None:
        new = await self._open(target)
        if self._after[new] is not None:
            raise Conflict(f"{target}: the patch moves a file onto one that exists")
        self._after[path], self._after[new] = None, data
        if self._before[path] is not None and self._before[new] is None:
            self._sources[new] = path


async def _read(workspace: Workspace, path: str) -> tuple[str, bytes | None]:
    """The real path and what the file holds; None when there is none."""
    where, data = await workspace.look(path)
    return where.path, await workspace.read(path) if where.is_dir else data  # which says that it is a folder


def _dressed(content: str, before: bytes | None, path: str) -> TextFile:
    if before is None:
        return TextFile(content)
    try:
        like = decode(before, path=path)
    except InvalidInput:  # text replaces a binary file
        return TextFile(content)
    return like.with_text(content if "\r\n" in content else adapt(content, like))


async def _write(workspace: Workspace, args: Mapping[str, Any]) -> tuple[FileChange, ...]:
    return (await plan_write(workspace, args["path"], args["content"], args.get("expected_hash")),)


async def _edit(workspace: Workspace, args: Mapping[str, Any]) -> tuple[FileChange, ...]:
    edits = [block.edit() for block in _BLOCKS.validate_python(args["edits"])]
    return ((await plan_edit(workspace, args["path"], edits, args.get("expected_hash")))[0],)


async def _patch(workspace: Workspace, args: Mapping[str, Any]) -> tuple[FileChange, ...]:
    return await plan_patch(workspace, args["patch"])


async def _review(workspace: Workspace, args: Mapping[str, Any]) -> tuple[FileChange, ...]:
    return await plan_patch(workspace, args["diff"])


async def _delete(workspace: Workspace, args: Mapping[str, Any]) -> tuple[FileChange, ...]:
    where, data = await workspace.look(args["path"])
    if not where.exists:
        raise FileNotFoundError(f"there is no {args['path']!r} to delete")
    return () if where.is_dir else (FileChange(where.path, data, None),)


async def _move(workspace: Workspace, args: Mapping[str, Any]) -> tuple[FileChange, ...]:
    source, target = await workspace.locate(args["source"]), await workspace.locate(args["target"])
    if not source.exists:
        raise FileNotFoundError(f"there is no {args['source']!r} to move")
    if target.exists:
        raise Conflict(f"{args['target']!r} exists: choose another target", code="target_exists")
    data = b"" if source.is_dir else await workspace.read(args["source"])
    return (FileChange(target.path, data, data, source.path),)


_PLANNERS: dict[str, Callable[[Workspace, Mapping[str, Any]], Awaitable[tuple[FileChange, ...]]]] = {
    "write_file": _write,
    "edit_file": _edit,
    "apply_patch": _patch,
    "apply_patch_review": _review,
    "delete_file": _delete,
    "move_file": _move,
}
