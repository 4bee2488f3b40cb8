"""What there is to choose from: agents and workspaces."""

from __future__ import annotations

from fastapi import APIRouter

from ...runtime.workspaces.schemas import Workspace
from ..deps import AssistantReader, CurrentRuntime, WorkspaceReader, WorkspaceWriter
from ..roster import AgentOut, roster
from .bodies import NewWorkspace

router = APIRouter()


@router.get("/agents", tags=["agents"])
async def list_agents(principal: AssistantReader, runtime: CurrentRuntime) -> list[AgentOut]:  # noqa: ARG001
    """List the agents, the orchestrator included."""
    return roster(runtime.agents)


@router.get("/workspaces", tags=["workspaces"])
async def list_workspaces(principal: WorkspaceReader, runtime: CurrentRuntime) -> list[Workspace]:
    """List the workspaces you may use."""
    return await runtime.workspaces.list(principal)


@router.post("/workspaces", status_code=201, tags=["workspaces"])
async def register_workspace(body: NewWorkspace, principal: WorkspaceWriter, runtime: CurrentRuntime) -> Workspace:
    """Register a folder; it must lie below one of the configured roots."""
    return await runtime.workspaces.register(principal, body.path, name=body.name)
