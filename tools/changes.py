"""Changes to files before they happen: shown as a diff, carried out all or none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from ..core.errors import CodeLabError, InvalidInput
from .diffing import counts, unified
from .syntax import report
from .textfile import decode, short_hash
from .workspace import Workspace

_NOWHERE = "/dev/null"
_SMALL = 8_192
"""Bytes that are compared and parsed sooner than a thread has begun."""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file before and after.

    Attributes:
        path: Where it is afterwards (real, relative); where it was, when it is deleted.
        before: Its bytes now; None when it does not exist.
        after: Its bytes afterwards; None when it is deleted.
        source: Where it was, when it moves; `before` is what stands there.
    """

    path: str
    before: bytes | None
    after: bytes | None
    source: str | None = None

    def diff(self) -> str:
        """Write the change as a unified diff. May take a moment: call it in a thread for big files."""
        old, new = self._sides()
        head = f"rename from {self.source}\nrename to {self.path}\n" if self.source else ""
        before, after = _text(self.before, self.path), _text(self.after, self.path)
        if before is None or after is None:
            return f"{head}Binary file {self.path} changes ({_size(self.before)} -> {_size(self.after)})\n"
        body = unified(before, after, old=old, new=new)
        if body or head:
            return head + body
        return f"--- {old}\n+++ {new}\n" if _NOWHERE in (old, new) else ""

    def summary(self) -> str:
        """Say in one line what changes: kind, path, lines added and removed, the new hash."""
        if self.after is None:
            return f"deleted {self.path}"
        size = self._counts()
        if self.source is not None:
            what = f"moved {self.source} to {self.path}"
        else:
            what = f"{'created' if self.before is None else 'changed'} {self.path}"
        return f"{what}{size} · {short_hash(self.after)}"

    def syntax_report(self) -> str:
        """Name new syntax errors; empty when there are none. Blocks."""
        after = _text(self.after, self.path) if self.after is not None else None
        if after is None:
            return ""
        return report(self.path, _text(self.before, self.path) if self.before is not None else None, after)

    def _sides(self) -> tuple[str, str]:
        old = _NOWHERE if self.before is None else f"a/{self.source or self.path}"
        return old, _NOWHERE if self.after is None else f"b/{self.path}"

    def _counts(self) -> str:
        before, after = _text(self.before, self.path), _text(self.after, self.path)
        if before is None or after is None:
            return ""
        added, removed = counts(before, after)
        return f" (+{added} -{removed} lines)"


async def at_leisure(work: Callable[[], Result], changes: Sequence[FileChange]) -> Result:
    """Do what takes the longer the bigger the changes are: in a thread, unless they are small."""
    size = sum(len(change.before or b"") + len(change.after or b"") for change in changes)
    return work() if size <= _SMALL else await asyncio.to_thread(work)


def diff_of(changes: Sequence[FileChange]) -> str:
    """Write several changes as one diff."""
    return "".join(change.diff() for change in changes)


async def carry_out(workspace: Workspace, changes: Sequence[FileChange]) -> None:
    """Make the changes; when one fails, or this task is cancelled, undo those made and let the failure pass."""
    begun: list[FileChange] = []
    complete = False
    try:
        for change in changes:
            begun.append(change)
            await _make(workspace, change)
        complete = True
    finally:
        for change in [] if complete else reversed(begun):
            with suppress(OSError, CodeLabError):  # the first failure is the one to tell
                await _undo(workspace, change)


async def _make(workspace: Workspace, change: FileChange) -> None:
    if change.source is not None:
        await workspace.move(change.source, change.path)
    if change.after is None:
        await workspace.delete(change.path)
    elif change.source is None or change.after != change.before:
        await workspace.write(change.path, change.after)


async def _undo(workspace: Workspace, change: FileChange) -> None:
    if change.source is not None:
        await workspace.move(change.path, change.source)
        await workspace.write(change.source, change.before or b"")
    elif change.before is None:
        await workspace.delete(change.path)
    else:
        await workspace.write(change.path, change.before)


def _text(data: bytes | None, path: str) -> str | None:
    try:
        return "" if data is None else decode(data, path=path).text
    except InvalidInput:
        return None


def _size(data: bytes | None) -> str:
    return "nothing" if data is None else f"{len(data)} bytes"
