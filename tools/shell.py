"""Running commands in the workspace."""

# ruff: noqa: D417 - `runtime` is no argument of the model's
from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain.tools import ToolRuntime
from langchain_core.tools import tool

from ..core.errors import InvalidInput, NotFound
from ..core.types import ToolGroup
from .calls import call_key
from .context import RunContext
from .outputs import SHOWN, shown
from .processes import RUNNING
from .spec import Effect, ToolSpec, Touched
from .workspace import CommandResult

LONGEST_S = 3600.0
_MOST_LINES = 1000
_LONGEST = 50_000


@tool(parse_docstring=True)
async def execute_command(
    command: str, runtime: ToolRuntime[RunContext, Any], cwd: str = ".", timeout_s: float | None = None
) -> str:
    """Run a command line with /bin/sh. No terminal, no input; it ends with everything it started.

    Args:
        command: The command line, as simple as possible.
        cwd: Folder to run in, relative to the workspace.
        timeout_s: Seconds until it is killed.
    """
    context = runtime.context
    key = call_key(runtime)

    async def on_start(pgid: int) -> None:
        RUNNING.add(key.thread_id, key.tool_call_id, pgid)
        await context.journal.note_process(key, pgid)

    seconds = min(timeout_s or context.command_timeout_s, LONGEST_S)
    try:
        argv = ("/bin/sh", "-c", command)
        result = await context.workspace_handle.run(argv, cwd=cwd, timeout_s=seconds, on_start=on_start)
    finally:
        RUNNING.remove(key.thread_id, key.tool_call_id)
    output = await shown(result.output, context) if result.output.strip() else "(no output)"
    return f"{_headline(result, seconds)}\n{output}"


def _headline(result: CommandResult, seconds: float) -> str:
    if result.timed_out:
        return (
            f"Timed out after {seconds:g} s: it and everything it started were killed. Give it more time with"
            " timeout_s, or do less at once. Output until then:"
        )
    return f"Exit code {result.exit_code} after {result.duration_s:.1f} s."


@tool(parse_docstring=True)
async def read_output(
    artifact_id: str,
    runtime: ToolRuntime[RunContext, Any],
    search: str | None = None,
    offset: int = 1,
    limit: int = 200,
) -> str:
    """Page through a long output that was cut.

    Args:
        artifact_id: The id that the cut output names.
        search: Show only lines that hold this text.
        offset: First line to show, from 1; with search, first hit.
        limit: Lines to show.
    """
    text = await runtime.context.artifacts.get(runtime.context.thread_id, artifact_id)
    if text is None:
        raise NotFound(f"There is no output {artifact_id!r} in this thread; use an id that a cut output names.")
    lines = list(enumerate(text.splitlines(), 1))
    if search:
        lines = [(number, line) for number, line in lines if search in line]
    start, count = max(offset, 1) - 1, min(max(limit, 1), _MOST_LINES)
    page = lines[start : start + count]
    if not page:
        return f"(no lines: {len(lines)} {'hits' if search else 'lines'} in all)"
    return _page(page, total=len(lines), start=start)


def _page(page: list[tuple[int, str]], *, total: int, start: int) -> str:
    body: list[str] = []
    size = 0
    for number, line in page:
        entry = f"{number} | {line[: SHOWN // 2]}"
        if body and size + len(entry) > SHOWN:
            break
        body.append(entry)
        size += len(entry) + 1
    left = total - start - len(body)
    more = f"\n({left} more; go on with offset={start + len(body) + 1})" if left > 0 else ""
    return "\n".join(body) + more


@tool(parse_docstring=True)
async def kill_command(runtime: ToolRuntime[RunContext, Any]) -> str:
    """Kill the commands of this thread that still run."""
    killed = RUNNING.kill(runtime.context.thread_id)
    return f"Killed {killed} running command(s)." if killed else "No command of this thread runs now."


def _touches(args: Mapping[str, Any]) -> Touched:
    """Give the folder a command runs in; the paths in the command itself are found by `facts`."""
    if "\0" in args["command"] or not args["command"].strip():
        raise InvalidInput("The command is empty or holds a NUL character; write it again.")
    if len(args["command"]) > _LONGEST:
        raise InvalidInput(f"The command is longer than {_LONGEST} characters; write a file and run that.")
    return Touched(reads=[args.get("cwd") or "."])


SPECS = (
    ToolSpec(execute_command, ToolGroup.EXECUTE, Effect.COMMAND, _touches),
    ToolSpec(read_output, ToolGroup.EXECUTE),
    ToolSpec(kill_command, ToolGroup.EXECUTE),
)
