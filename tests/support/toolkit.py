"""Calling tools as the graph does: through LangChain, with a runtime that carries a run context."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from langchain.tools import ToolRuntime
from langchain_core.tools import BaseTool

from codelab.core.events import EventBus
from codelab.core.permissions import ALL
from codelab.core.types import Principal
from codelab.tools.context import RunContext
from codelab.tools.memory import MemoryArtifacts, MemoryJournal
from codelab.tools.workspaces.local import LocalWorkspace


class NoModels:
    """Roles without models."""

    def chat(self, role: str) -> Any:
        raise LookupError(role)


def run_context(root: Path, **changes: Any) -> RunContext:
    """A context for one run on a folder."""
    values: dict[str, Any] = {
        "principal": Principal("local", scopes=ALL),
        "thread_id": "thread",
        "turn_id": "turn",
        "run_id": "run",
        "workspace_handle": LocalWorkspace(root, id="w"),
        "journal": MemoryJournal(),
        "artifacts": MemoryArtifacts(),
        "models": NoModels(),
        "bus": EventBus(),
    }
    return RunContext(**(values | changes))


def caller(context: RunContext) -> Callable[..., Any]:
    """Give a function that calls a tool by its arguments and returns what the model would see."""

    async def call(tool: BaseTool, **args: Any) -> Any:
        runtime = ToolRuntime(
            state={}, context=context, config={}, stream_writer=lambda _: None, tool_call_id="call", store=None
        )
        return await tool.ainvoke({**args, "runtime": runtime})

    return call
