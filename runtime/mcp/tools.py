"""The tools of one principal: each assistant that they see; a call is a run on a thread of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUserError

from ...core.errors import CodeLabError, InvalidInput
from ...core.types import Principal
from ...store.texts import dump_json
from ..agent_runs.schemas import RunRequest
from ..agent_runs.service import AgentRuns
from ..graphs.registry import GraphRegistry
from .shapes import LONGEST_NAME, arguments_of, input_of, tool_name

PAGE: Final = 100
_HINTS: Final = {"readOnlyHint": False, "destructiveHint": False, "idempotentHint": False, "openWorldHint": True}
_ANYTHING: Final = {"type": "object"}
_ID_CHARACTERS: Final = 8

Tool = dict[str, Any]


class Named(Protocol):
    """An assistant, as far as tools need it."""

    @property
    def assistant_id(self) -> str:
        """Its id."""
        ...

    @property
    def graph_id(self) -> str:
        """Its graph."""
        ...

    @property
    def name(self) -> str:
        """Its name, which need not be unique."""
        ...

    @property
    def description(self) -> str | None:
        """What it is good for."""
        ...

    @property
    def config(self) -> dict[str, Any]:
        """How it is configured."""
        ...


class Catalog(Protocol):
    """Lists assistants."""

    async def listed(self, principal: Principal, *, limit: int, offset: int) -> Sequence[Named]:
        """Those that the principal sees, in an order that does not change."""
        ...


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
        graphs: Says what they take.
        runs: Makes the runs.
    """

    def __init__(self, *, assistants: Catalog, graphs: GraphRegistry, runs: AgentRuns) -> None:
        self._assistants = assistants
        self._graphs = graphs
        self._runs = runs
        self._known: dict[str, dict[str, Any]] = {}

    async def page(self, principal: Principal, offset: int) -> tuple[list[Tool], int | None]:
        """List tools; the offset of the next page, if there is one."""
        found = await self._assistants.listed(principal, limit=PAGE + 1, offset=offset)
        names = await self._names(principal)
        tools = [await self._tool(principal, each, names[each.assistant_id]) for each in found[:PAGE]]
        return tools, offset + PAGE if len(found) > PAGE else None

    async def call(self, principal: Principal, name: str, arguments: Mapping[str, Any]) -> Called | None:
        """Run an assistant to its rest; None when there is no such tool."""
        assistant = await self._named(principal, name)
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

    async def _tool(self, principal: Principal, assistant: Named, name: str) -> Tool:
        return {
            "name": name,
            "title": assistant.name,
            "description": assistant.description or f"Tool based on the {assistant.name} assistant",
            "inputSchema": arguments_of(await self._schema(principal, assistant)),
            "annotations": _HINTS,
        }

    async def _named(self, principal: Principal, name: str) -> Named | None:
        names = await self._names(principal)
        wanted = next((assistant_id for assistant_id, each in names.items() if each == name), None)
        return next((each for each in await self._all(principal) if each.assistant_id == wanted), None)

    async def _names(self, principal: Principal) -> dict[str, str]:
        """Each assistant's name as a tool: where two would have the same, the later one's id is part of it."""
        names: dict[str, str] = {}
        for each in await self._all(principal):
            name = tool_name(each.name)
            if name in names.values():
                short = each.assistant_id.replace("-", "")[:_ID_CHARACTERS]
                name = f"{name[: LONGEST_NAME - _ID_CHARACTERS - 1]}_{short}"
            names[each.assistant_id] = name
        return names

    async def _all(self, principal: Principal) -> list[Named]:
        found: list[Named] = []
        while True:
            page = await self._assistants.listed(principal, limit=PAGE, offset=len(found))
            found += page
            if len(page) < PAGE:
                return found

    async def _schema(self, principal: Principal, assistant: Named) -> dict[str, Any]:
        """The schema of the input; that of a graph that is always the same is made once."""
        known = self._known.get(assistant.graph_id)
        if known is not None:
            return known
        try:
            opened = self._graphs.open(
                assistant.graph_id,
                access="assistants.read",
                config={"configurable": dict(assistant.config.get("configurable") or {})},
                principal=principal,
                checkpointer=None,
                store=None,
            )
            async with opened as graph:
                schema = graph.get_input_jsonschema()
        except (PydanticInvalidForJsonSchema, PydanticUserError, InvalidInput):
            schema = dict(_ANYTHING)
        if self._graphs.static(assistant.graph_id) is not None:
            self._known[assistant.graph_id] = schema
        return schema
