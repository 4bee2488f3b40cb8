"""From an agent's file to its subgraph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import AgentMiddleware
from langgraph.graph.state import CompiledStateGraph

from ..core.context import RunSettings
from ..core.settings import AgentsSettings
from ..tools.context import Models
from ..tools.registry import grant_for, specs_for
from .at_tool import JournalMiddleware, PolicyMiddleware, ToolErrorMiddleware, announced
from .briefing import BriefingMiddleware
from .gate import ApprovalMiddleware
from .handoff import make_switch_tool
from .host import Host
from .layers import AgentLayers
from .spec import AgentSpec
from .state import TurnState
from .turn import TurnMiddleware


@dataclass(frozen=True, slots=True)
class Limits:
    """How far one turn may go."""

    max_hops: int = 4
    max_model_calls: int = 60
    max_tool_calls: int = 120
    context_tokens: int = 100_000

    @classmethod
    def of(cls, settings: AgentsSettings) -> Limits:
        """Read them from the settings."""
        return cls(
            max_hops=settings.max_hops,
            max_model_calls=settings.max_model_calls,
            max_tool_calls=settings.max_tool_calls,
            context_tokens=settings.context_tokens,
        )


def build_agent(
    spec: AgentSpec, *, models: Models, host: Host, roster: Mapping[str, str], limits: Limits
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Compile one agent: its tools, its prompt, and the middleware that holds it to its grant.

    Args:
        spec: The agent's file.
        models: Roles to models.
        host: Makes the run context.
        roster: The agents it may hand to (name → description); with fewer than two there is no `switch_agent`.
        limits: The turn's limits.
    """
    tools = [tool_spec.tool for tool_spec in specs_for(spec.tools)]
    if len(roster) > 1:
        tools.append(make_switch_tool(current=spec.name, roster=roster, max_hops=limits.max_hops))
    return create_agent(
        models.chat(spec.model),
        tools,
        system_prompt=spec.prompt,
        name=spec.name,
        state_schema=TurnState,
        context_schema=RunSettings,
        middleware=middleware_of(spec, host=host, limits=limits),
    )


def middleware_of(spec: AgentSpec, *, host: Host, limits: Limits) -> list[AgentMiddleware[Any, Any, Any]]:
    """Outer to inner: the gate sees a call first, so that the policy sees it after a person's edit."""
    grant = grant_for(spec.name, spec.tools, spec.files)
    turn = TurnMiddleware(
        max_model_calls=spec.limits.model_calls or limits.max_model_calls,
        max_tool_calls=spec.limits.tool_calls or limits.max_tool_calls,
    )
    gate, briefing = ApprovalMiddleware(grant=grant, host=host), BriefingMiddleware(host=host, agent=spec.name)
    acting = (gate, PolicyMiddleware(grant=grant, host=host), JournalMiddleware(), ToolErrorMiddleware())
    return [
        AgentLayers(
            gate,
            at_model=[layer.awrap_model_call for layer in (turn, gate, briefing)],
            at_tool=[*(layer.awrap_tool_call for layer in acting), announced],
        )
    ]
