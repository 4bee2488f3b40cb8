"""What there is to choose from: agents and workspaces."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from ...runtime.workspaces.schemas import Workspace
from ..deps import AssistantReader, CurrentRuntime, WorkspaceReader, WorkspaceWriter
from .bodies import NewWorkspace

router = APIRouter()


class AgentOut(BaseModel):
    """One agent of the roster."""

    name: str
    description: str
    when_to_use: str
    tools: list[str]


@router.get("/agents", tags=["agents"])
async def list_agents(principal: AssistantReader, runtime: CurrentRuntime) -> list[AgentOut]:  # noqa: ARG001
    """List the agents, the orchestrator included."""
    return [AgentOut(**agent) for agent in runtime.roster()]


@router.get("/workspaces", tags=["workspaces"])
async def list_workspaces(principal: WorkspaceReader, runtime: CurrentRuntime) -> list[Workspace]:
    """List the workspaces you may use."""
    return await runtime.workspaces.list(principal)


@router.post("/workspaces", status_code=201, tags=["workspaces"])
async def register_workspace(body: NewWorkspace, principal: WorkspaceWriter, runtime: CurrentRuntime) -> Workspace:
    """Register a folder; it must lie below one of the configured roots."""
    return await runtime.workspaces.register(principal, body.path, name=body.name)
