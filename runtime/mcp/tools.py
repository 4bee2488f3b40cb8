"""The tools of one principal: each assistant that they see; a call is a run on a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from ...core.errors import BadRequest, CodeLabError
from ...core.types import Principal
from ...store.texts import dump_json
from ..agent_runs.schemas import RunRequest
from ..agent_runs.service import AgentRuns
from ..assistants.schemas import Assistant
from ..assistants.service import AssistantService
from ..graphs.views import GraphViews
from .shapes import LONGEST_NAME, arguments_of, input_of, tool_name

PAGE: Final = 100
_HINTS: Final = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True}
_ANYTHING: Final = {"type": "object"}
_ID_CHARACTERS: Final = 12

Tool = dict[str, Any]


@dataclass(frozen=True)
class Called:
    """How a call went: what the graph said, or why it failed."""

    text: str
    structured: dict[str, Any] | None = None
    failed: bool = False


class AssistantTools:
    """Assistants as tools.

    Args:
        assistants: Lists them.
        views: Says what they take.
        runs: Makes the runs.
    """

    def __init__(self, *, assistants: AssistantService, views: GraphViews, runs: AgentRuns) -> None:
        self._assistants = assistants
        self._views = views
        self._runs = runs

    async def page(self, principal: Principal, offset: int) -> tuple[list[Tool], int | None]:
        """List tools; the offset of the next page, if there is one."""
        named = list((await self._by_name(principal)).items())
        tools = [await self._tool(principal, each, name) for name, each in named[offset : offset + PAGE]]
        return tools, offset + PAGE if len(named) > offset + PAGE else None

    async def call(self, principal: Principal, name: str, arguments: Mapping[str, Any]) -> Called | None:
        """Run an assistant to its rest; None when there is no such tool."""
        assistant = (await self._by_name(principal)).get(name)
        if assistant is None:
            return None
        schema = await self._schema(principal, assistant)
        try:
            request = RunRequest(assistant_id=assistant.assistant_id, input=input_of(schema, arguments))
            run = await self._runs.create(principal, None, request)
            values = await self._runs.join(principal, str(run.thread_id), str(run.run_id))
        except CodeLabError as exc:
            return Called(exc.message, failed=True)
        if isinstance(values, dict) and (error := values.get("__error__")):
            return Called(f"{error['error']}: {error['message']}", failed=True)
        return Called(dump_json(values, escaped=False), values if isinstance(values, dict) else None)

    async def _tool(self, principal: Principal, assistant: Assistant, name: str) -> Tool:
        return {
            "name": name,
            "title": assistant.name,
            "description": assistant.description or f"Tool based on the {assistant.name} assistant",
            "inputSchema": arguments_of(await self._schema(principal, assistant)),
            "annotations": _HINTS,
        }

    async def _by_name(self, principal: Principal) -> dict[str, Assistant]:
        """Every assistant by its name as a tool: where two would have the same, the later one's id is part of it."""
        named: dict[str, Assistant] = {}
        for each in await self._all(principal):
            name = tool_name(each.name)
            if name in named:
                short = each.assistant_id[-_ID_CHARACTERS:]  # the random end of it; it begins with the time
                name = f"{name[: LONGEST_NAME - _ID_CHARACTERS - 1]}_{short}"
            named[name] = each
        return named

    async def _all(self, principal: Principal) -> list[Assistant]:
        found: list[Assistant] = []
        while True:
            page = await self._assistants.listed(principal, limit=PAGE, offset=len(found))
            found += page
            if len(page) < PAGE:
                return found

    async def _schema(self, principal: Principal, assistant: Assistant) -> dict[str, Any]:
        """The schema of the input; anything, where nobody can tell it."""
        try:
            schemas = await self._views.schemas(principal, assistant)
        except BadRequest:
            return dict(_ANYTHING)
        return schemas["input_schema"] or dict(_ANYTHING)
