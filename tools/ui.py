"""What the person's screen shows: a patch to review; notices and progress as stream events that never interrupt."""

# ruff: noqa: D417 - `runtime` is no argument of the model's
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from langchain.tools import ToolRuntime
from langchain_core.tools import tool

from ..core.types import ToolGroup
from .context import RunContext
from .files import perform
from .patching import touched_by
from .plans import plan_patch
from .spec import Effect, ToolSpec, Touched


@tool(parse_docstring=True)
async def apply_patch_review(diff: str, message: str, runtime: ToolRuntime[RunContext, Any]) -> str:  # noqa: ARG001 - the preview shows it
    """Have the person review a patch, perhaps change it, and apply what they approve.

    Args:
        diff: A patch as `apply_patch` takes it.
        message: What it does and why, for the person.
    """
    return await perform(runtime, await plan_patch(runtime.context.workspace_handle, diff))


@tool(parse_docstring=True)
async def show_notification(
    level: Literal["info", "success", "warning", "error"],
    title: str,
    runtime: ToolRuntime[RunContext, Any],
    body: str = "",
) -> str:
    """Show the person a short notice; it does not wait.

    Args:
        level: How it looks.
        title: One line.
        body: A few lines more.
    """
    runtime.stream_writer({"type": "ui.notification", "level": level, "title": title, "body": body})
    return "Shown."


@tool(parse_docstring=True)
async def show_progress(
    id: str,  # noqa: A002 - the protocol's word
    label: str,
    runtime: ToolRuntime[RunContext, Any],
    done: float = 0,
    total: float | None = None,
) -> str:
    """Show or move a progress bar; it does not wait.

    Args:
        id: The same for every step of one piece of work.
        label: What is going on.
        done: How much is done.
        total: How much there is; leave it out if nobody knows.
    """
    runtime.stream_writer({"type": "ui.progress", "id": id, "label": label, "done": done, "total": total})
    return "Shown."


def _review_touches(args: Mapping[str, Any]) -> Touched:
    return touched_by(args.get("diff"))


SPECS = (
    ToolSpec(apply_patch_review, ToolGroup.UI, Effect.FILES, _review_touches),
    ToolSpec(show_notification, ToolGroup.UI),
    ToolSpec(show_progress, ToolGroup.UI),
)
