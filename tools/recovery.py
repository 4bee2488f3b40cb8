"""What became of a tool call whose worker died: not begun, done, or unknown. Never done twice."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ..core.errors import CodeLabError
from .changes import FileChange, at_leisure
from .context import JournalEntry
from .plans import plan
from .spec import Effect, ToolSpec
from .textfile import short_hash
from .workspace import Glance, Location, Workspace

_MISSING, _FOLDER = "missing", "folder"
_UNREADABLE = (CodeLabError, OSError, ValueError)

States = dict[str, str]
"""Real path → hash of the content, or `missing`, `folder`, `unreadable`."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """The finding, and a text that tells the model.

    Attributes:
        state: `not_started`: it is safe to act. `done`: the effect is complete. `unknown`: look before going on.
        text: For the model: what a finished call did, or what to do about an unknown one.
    """

    state: Literal["not_started", "done", "unknown"]
    text: str = ""

    @property
    def not_started(self) -> bool:
        """Whether it is safe to act."""
        return self.state == "not_started"


async def fingerprint(spec: ToolSpec, args: Mapping[str, Any], workspace: Workspace) -> dict[str, Any]:
    """Note how the files of a call are, how they will be once it is done, and what the model will be told.

    Empty for commands. Never raises.
    """
    if spec.effect is not Effect.FILES:
        return {}
    glance: Any = Glance(workspace)  # what is noted as the state is what the plan starts from
    before = await _states_of_call(spec, args, glance)
    try:
        changes = await plan(spec.name, args, glance)
    except _UNREADABLE:
        return {"before": before, "after": None}
    told = await at_leisure(lambda: "\n".join(change.summary() for change in changes or ()), changes or ())
    return {"before": before, "after": _expected(before, changes), "told": told}


async def recover(entry: JournalEntry, spec: ToolSpec, args: Mapping[str, Any], workspace: Workspace) -> Recovery:  # noqa: ARG001
    """Find out what became of a call that was started and never finished; a command still running is ended."""
    if spec.effect is not Effect.FILES:
        return await _recover_command(entry, spec, workspace)
    noted = entry.before or {}
    before: States = noted.get("before") or {}
    if not before:
        return Recovery("unknown", _unsure(spec, "what it was to change is not recorded"))
    now = {path: await _state(workspace, path) for path in before}
    if now == before:
        return Recovery("not_started")
    if now == noted.get("after"):
        return Recovery("done", noted.get("told") or f"{spec.name} is done")
    changed = ", ".join(f"{path} is {now[path]}" for path in before if now[path] != before[path])
    return Recovery("unknown", _unsure(spec, f"the files are neither as before nor as planned ({changed})"))


async def _recover_command(entry: JournalEntry, spec: ToolSpec, workspace: Workspace) -> Recovery:
    ended = 0
    if entry.pgid is not None and workspace.folder is not None:
        ended = await asyncio.to_thread(_end_group, entry.pgid, workspace.folder)
    what = "it was still running and has been ended" if ended else "it is not running any more"
    return Recovery("unknown", _unsure(spec, what))


def _unsure(spec: ToolSpec, what: str) -> str:
    return (
        f"{spec.name} was interrupted, its effect is unknown: {what}. Check the state before you decide to repeat it."
    )


async def _states_of_call(spec: ToolSpec, args: Mapping[str, Any], workspace: Workspace) -> States:
    try:
        return dict([await _named_state(workspace, path) for path in spec.touches(args).writes])
    except _UNREADABLE:  # the tool itself will refuse the call
        return {}


async def _named_state(workspace: Workspace, named: str) -> tuple[str, str]:
    """The real path of a file, and its state."""
    try:
        where, data = await workspace.look(named)
    except _UNREADABLE:
        return (await workspace.locate(named)).path, "unreadable"
    return where.path, _state_of(where, data)


async def _state(workspace: Workspace, path: str) -> str:
    try:
        where, data = await workspace.look(path)
    except _UNREADABLE:
        return "unreadable"
    return _state_of(where, data)


def _state_of(where: Location, data: bytes | None) -> str:
    if not where.exists:
        return _MISSING
    return _FOLDER if data is None else short_hash(data)


def _expected(before: States, changes: Sequence[FileChange] | None) -> States:
    if not changes:  # a folder made, or an empty one deleted
        return dict.fromkeys(before, _FOLDER if changes is None else _MISSING)
    after = dict(before)
    for change in changes:
        moved_folder = change.source is not None and before.get(change.source) == _FOLDER
        content = _MISSING if change.after is None else short_hash(change.after)
        after[change.path] = _FOLDER if moved_folder else content
        if change.source is not None:
            after[change.source] = _MISSING
    return after


def _end_group(pgid: int, folder: Path) -> int:
    """Kill what is left of a process group; only processes at work in the folder, for numbers are used again."""
    ended = 0
    for pid in _members(pgid):
        with suppress(OSError):
            if (Path("/proc") / str(pid) / "cwd").resolve().is_relative_to(folder):
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return ended


def _members(pgid: int) -> Iterator[int]:
    processes = Path("/proc")
    if not processes.is_dir():  # elsewhere the supervisor of the command has seen to it
        return
    for entry in processes.iterdir():
        with suppress(OSError, ValueError, IndexError):
            after_name = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            if entry.name.isdigit() and int(after_name[2]) == pgid:
                yield int(entry.name)
