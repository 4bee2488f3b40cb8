"""The state of threads: read, its history, changed by hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from starlette.responses import Response

from ...runtime.threads.shapes import NO_NUL, CheckpointRef, HistoryQuery, StateQuery, StateUpdate
from .answers import json_answer
from .deps import Agent, ThreadId, ThreadReader, ThreadWriter, body

router = APIRouter(tags=["state"])


async def _shown(
    subgraphs: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    select: Annotated[list[str] | None, Query()] = None,
) -> StateQuery:
    names = [name for given in select or () for name in given.split(",") if name]
    return StateQuery(checkpoint=CheckpointRef(), subgraphs=subgraphs, select=names)


Shown = Annotated[StateQuery, Depends(_shown)]


@router.get("/threads/{thread_id}/state")
async def get_state(thread_id: ThreadId, query: Shown, principal: ThreadReader, agent: Agent) -> Response:
    """Show the newest state."""
    return json_answer(await agent.threads.state(principal, thread_id, query))


@router.post("/threads/{thread_id}/state/checkpoint")
async def get_checkpoint(
    thread_id: ThreadId,
    sent: Annotated[StateQuery, Depends(body(StateQuery))],
    principal: ThreadReader,
    agent: Agent,
) -> Response:
    """Show the state at a checkpoint, of a sub-graph too."""
    return json_answer(await agent.threads.state(principal, thread_id, sent))


@router.get("/threads/{thread_id}/state/{checkpoint_id}")
async def get_state_at(
    thread_id: ThreadId,
    checkpoint_id: Annotated[str, Path(max_length=256, pattern=NO_NUL)],
    query: Shown,
    principal: ThreadReader,
    agent: Agent,
) -> Response:
    """Show the state at one of the root's checkpoints."""
    at = query.model_copy(update={"checkpoint": CheckpointRef(checkpoint_id=checkpoint_id)})
    return json_answer(await agent.threads.state(principal, thread_id, at))


@router.post("/threads/{thread_id}/state")
async def update_state(
    thread_id: ThreadId,
    sent: Annotated[StateUpdate, Depends(body(StateUpdate))],
    principal: ThreadWriter,
    agent: Agent,
) -> Response:
    """Change the state by hand."""
    return json_answer(await agent.threads.update_state(principal, thread_id, sent))


@router.get("/threads/{thread_id}/history")
async def get_history(
    thread_id: ThreadId,
    principal: ThreadReader,
    agent: Agent,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1,
    before: Annotated[str | None, Query(max_length=256, pattern=NO_NUL)] = None,
) -> Response:
    """Show checkpoints, newest first."""
    query = HistoryQuery.model_validate({"limit": limit, "before": before})
    return json_answer(await agent.threads.history(principal, thread_id, query))


@router.post("/threads/{thread_id}/history")
async def search_history(
    thread_id: ThreadId,
    sent: Annotated[HistoryQuery, Depends(body(HistoryQuery))],
    principal: ThreadReader,
    agent: Agent,
) -> Response:
    """Show the checkpoints that are meant, newest first."""
    return json_answer(await agent.threads.history(principal, thread_id, sent))
