"""The agents as clients see them, the orchestrator included."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from ..agents.spec import AgentSpec

ORCHESTRATOR = "orchestrator"


class AgentOut(BaseModel):
    """One agent of the roster."""

    name: str
    description: str
    when_to_use: str = ""
    tools: list[str] = []


def roster(agents: Mapping[str, AgentSpec]) -> list[AgentOut]:
    """List what `GET /agents` shows: where several agents work, the router that chooses among them comes first."""
    listed = [
        AgentOut(name=a.name, description=a.description, when_to_use=a.when_to_use, tools=list(a.tools))
        for a in agents.values()
    ]
    if len(listed) == 1:
        return listed
    return [AgentOut(name=ORCHESTRATOR, description="Chooses the agent that takes a message."), *listed]
