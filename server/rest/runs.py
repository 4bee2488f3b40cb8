"""Runs: start, look, cancel; the answer to a start is the run, or its stream."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ...runtime.runs.schemas import Run
from ..deps import CurrentRuntime, RunReader, RunWriter
from ..sse import stream
from .bodies import NewRun

router = APIRouter(prefix="/threads/{thread_id}/runs", tags=["runs"])


@router.post("", status_code=202, response_model=Run)
async def start_run(
    thread_id: str, body: NewRun, request: Request, principal: RunWriter, runtime: CurrentRuntime
) -> Response:
    """Start a turn. With `Accept: text/event-stream` the answer is the run's events as they happen."""
    run = await runtime.runs.start(
        principal, thread_id, text=body.text, settings=body.settings(runtime.settings.approvals.mode)
    )
    headers = {"location": f"/api/v1/threads/{thread_id}/runs/{run.id}"}
    if "text/event-stream" in request.headers.get("accept", ""):
        thread = await runtime.threads.get(principal, thread_id)
        return stream(runtime.log.batches(thread_id, 0, run_id=run.id), thread.epoch, headers=headers)
    return Response(run.model_dump_json(), 202, media_type="application/json", headers=headers)


@router.get("")
async def list_runs(thread_id: str, principal: RunReader, runtime: CurrentRuntime) -> list[Run]:
    """List the runs of a thread, newest first."""
    return await runtime.runs.list(principal, thread_id)


@router.get("/{run_id}")
async def get_run(thread_id: str, run_id: str, principal: RunReader, runtime: CurrentRuntime) -> Run:
    """Look at one run."""
    return await runtime.runs.get(principal, thread_id, run_id)


@router.post("/{run_id}/cancel", status_code=202)
async def cancel_run(thread_id: str, run_id: str, principal: RunWriter, runtime: CurrentRuntime) -> Run:
    """Stop a run. What it did stays; the thread can go on."""
    return await runtime.runs.cancel(principal, thread_id, run_id)
