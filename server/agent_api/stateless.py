"""Runs without a thread of the client's own, several at once, and stopping several at once."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from starlette.responses import JSONResponse

from ...core.errors import InvalidInput
from ...runtime.agent_runs.schemas import RunRequest
from .deps import Agent, RunWriter, body
from .errors import said
from .runs import Sent, awaited, streamed, unstreamed, until_left

router = APIRouter(tags=["stateless runs"])
_BATCH = TypeAdapter(Annotated[list[RunRequest], Field(min_length=1, max_length=100)])


class Cancellation(BaseModel):
    """Which runs to stop: some of a thread, or all of a status."""

    status: Literal["pending", "running", "all"] | None = None
    thread_id: UUID | None = None
    run_ids: list[UUID] | None = Field(None, max_length=1000)


@router.post("/runs")
async def create_run(sent: Sent, principal: RunWriter, agent: Agent) -> Response:
    """Make a run on a thread of its own."""
    run = await agent.runs.create(principal, None, sent)
    return Response(run.model_dump_json(), media_type="application/json")


@router.post("/runs/stream")
async def stream_run(sent: Sent, principal: RunWriter, agent: Agent) -> Response:
    """Make a run on a thread of its own and follow it."""
    return streamed(agent, principal, await agent.runs.make(principal, None, sent), sent)


@router.post("/runs/wait")
async def wait_run(sent: Sent, request: Request, principal: RunWriter, agent: Agent) -> Response:
    """Make a run on a thread of its own; its final values."""
    made = await agent.runs.make(principal, None, unstreamed(sent))
    return awaited(await until_left(request, agent, principal, made), made.run)


@router.post("/runs/batch")
async def create_runs(request: Request, principal: RunWriter, agent: Agent) -> Response:
    """Make several runs, each on a thread of its own."""
    try:
        wanted = _BATCH.validate_json(await request.body())
    except ValidationError as exc:
        raise InvalidInput(said(exc.errors(include_url=False, include_input=False))) from exc
    made = [await agent.runs.create(principal, None, each) for each in wanted]
    return JSONResponse([run.model_dump(mode="json") for run in made])


@router.post("/runs/cancel", status_code=204, response_class=Response)
async def cancel_runs(
    sent: Annotated[Cancellation, Depends(body(Cancellation))],
    principal: RunWriter,
    agent: Agent,
    action: Annotated[Literal["interrupt", "rollback"], Query()] = "interrupt",
) -> None:
    """Stop the runs of a thread that are named, or all that have a status."""
    if (sent.status is None) == (sent.run_ids is None):
        raise InvalidInput("Name either `status`, or `thread_id` with `run_ids`")
    thread_id = str(sent.thread_id) if sent.thread_id is not None else None
    run_ids = list(map(str, sent.run_ids)) if sent.run_ids is not None else None
    await agent.runs.cancel_many(principal, status=sent.status, thread_id=thread_id, run_ids=run_ids, action=action)
