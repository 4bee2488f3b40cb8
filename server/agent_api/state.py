"""The state of threads: read, its history, changed by hand."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query

from ...runtime.threads.shapes import NO_NUL, CheckpointRef, HistoryQuery, StateQuery, StateUpdate
from .deps import Agent, ThreadId, ThreadReader, ThreadWriter, body

router = APIRouter(tags=["state"])
Json = dict[str, Any]


def _shown(
    subgraphs: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    select: Annotated[list[str] | None, Query()] = None,
) -> StateQuery:
    names = [name for given in select or () for name in given.split(",") if name]
    return StateQuery(checkpoint=CheckpointRef(), subgraphs=subgraphs, select=names)


Shown = Annotated[StateQuery, Depends(_shown)]


@router.get("/threads/{thread_id}/state")
async def get_state(thread_id: ThreadId, query: Shown, principal: ThreadReader, agent: Agent) -> Json:
    """Show the newest state."""
    return await agent.threads.state(principal, thread_id, query)


@router.post("/threads/{thread_id}/state/checkpoint")
async def get_checkpoint(
    thread_id: ThreadId,
    sent: Annotated[StateQuery, Depends(body(StateQuery))],
    principal: ThreadReader,
    agent: Agent,
) -> Json:
    """Show the state at a checkpoint, of a sub-graph too."""
    return await agent.threads.state(principal, thread_id, sent)


@router.get("/threads/{thread_id}/state/{checkpoint_id}")
async def get_state_at(
    thread_id: ThreadId,
    checkpoint_id: Annotated[str, Path(max_length=256, pattern=NO_NUL)],
    query: Shown,
    principal: ThreadReader,
    agent: Agent,
) -> Json:
    """Show the state at one of the root's checkpoints."""
    at = query.model_copy(update={"checkpoint": CheckpointRef(checkpoint_id=checkpoint_id)})
    return await agent.threads.state(principal, thread_id, at)


@router.post("/threads/{thread_id}/state")
async def update_state(
    thread_id: ThreadId,
    sent: Annotated[StateUpdate, Depends(body(StateUpdate))],
    principal: ThreadWriter,
    agent: Agent,
) -> Json:
    """Change the state by hand."""
    return await agent.threads.update_state(principal, thread_id, sent)


@router.get("/threads/{thread_id}/history")
async def get_history(
    thread_id: ThreadId,
    principal: ThreadReader,
    agent: Agent,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1,
    before: Annotated[str | None, Query(max_length=256, pattern=NO_NUL)] = None,
) -> list[Json]:
    """Show checkpoints, newest first."""
    query = HistoryQuery.model_validate({"limit": limit, "before": before})
    return await agent.threads.history(principal, thread_id, query)


@router.post("/threads/{thread_id}/history")
async def search_history(
    thread_id: ThreadId,
    sent: Annotated[HistoryQuery, Depends(body(HistoryQuery))],
    principal: ThreadReader,
    agent: Agent,
) -> list[Json]:
    """Show the checkpoints that are meant, newest first."""
    return await agent.threads.history(principal, thread_id, sent)
