"""The tool that applies a patch over several files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.tools import tool

from ..core.errors import InvalidInput
from ..core.types import ToolGroup
from .files import Runtime, perform
from .patch_format import paths_of
from .plans import plan_patch
from .spec import Effect, ToolSpec, Touched


@tool
async def apply_patch(patch: str, *, runtime: Runtime) -> str:
    """Apply a patch to one or several files: all of it or nothing.

    `patch` is a unified diff (`--- a/path`, `+++ b/path`, `@@`), or the form `*** Begin Patch`, then
    `*** Add File: path` / `*** Update File: path` (optional `*** Move to: path`) / `*** Delete File: path` with
    lines that start with a blank, - or +, then `*** End Patch`. Paths are relative to the workspace root. Context
    must match the files and be unique; line numbers are only hints.
    """
    return await perform(runtime, await plan_patch(runtime.context.workspace_handle, patch))


def touched_by(patch: Any) -> Touched:
    """Name every member of a patch, both ends of a move; `InvalidInput` when it cannot be read."""
    if not isinstance(patch, str):
        raise InvalidInput("the patch must be one text: a unified diff or the *** Begin Patch form")
    return Touched(writes=tuple(paths_of(patch)))


def _touches(args: Mapping[str, Any]) -> Touched:
    return touched_by(args.get("patch"))


SPECS: tuple[ToolSpec, ...] = (ToolSpec(apply_patch, ToolGroup.EDIT, Effect.FILES, _touches),)
