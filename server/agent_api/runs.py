"""Runs of a thread: made, streamed, awaited, joined, stopped."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request, Response
from starlette.responses import JSONResponse

from ...core.errors import InvalidInput, NotFound
from ...core.types import Principal, RunStatus
from ...runtime.agent import AgentRuntime
from ...runtime.agent_runs.making import Made
from ...runtime.agent_runs.schemas import AgentRun, RunRequest
from ...store.records import LoggedEvent
from ..deps import check_holds
from .answers import json_answer
from .deps import Agent, RunId, RunReader, RunWriter, ThreadId, body
from .sse import event_stream, position

router = APIRouter(tags=["runs"])
Sent = Annotated[RunRequest, Depends(body(RunRequest))]
LOOK_S: Final = 0.5
"""How often a waiting request looks whether its client is still there."""
_FINISHED: Final = frozenset({"success", "error", "timeout", "interrupted"})


def where(run: AgentRun, form: str = "stream") -> dict[str, str]:
    """The headers that say where a run is, and where to come back to it; relative, as SDKs insist."""
    at = f"/threads/{run.thread_id}/runs/{run.run_id}"
    return {"location": f"{at}/{form}", "content-location": at}


def streamed(agent: AgentRuntime, principal: Principal, made: Made, request: RunRequest) -> Response:
    """Answer with a new run's stream."""
    thread, run = str(made.run.thread_id), str(made.run.run_id)

    async def leave() -> None:
        if request.on_disconnect == "cancel" and run in await agent.runs.active(principal, thread):
            await agent.runs.cancel(principal, thread, run)

    batches = agent.log.batches(thread, made.after, run)
    return event_stream(batches, resumable=request.stream_resumable, on_leave=leave, headers=where(made.run))


@router.post("/threads/{thread_id}/runs", name="create_run")
async def create_run(thread_id: ThreadId, sent: Sent, principal: RunWriter, agent: Agent) -> Response:
    """Make a run and leave it to itself."""
    run = await agent.runs.create(principal, thread_id, sent)
    headers = {"content-location": f"/threads/{run.thread_id}/runs/{run.run_id}"}
    return Response(run.model_dump_json(), media_type="application/json", headers=headers)


@router.post("/threads/{thread_id}/runs/stream")
async def stream_run(thread_id: ThreadId, sent: Sent, principal: RunWriter, agent: Agent) -> Response:
    """Make a run and follow it."""
    made = await agent.runs.make(principal, thread_id, sent)
    return streamed(agent, principal, made, sent)


@router.post("/threads/{thread_id}/runs/wait")
async def wait_run(thread_id: ThreadId, sent: Sent, request: Request, principal: RunWriter, agent: Agent) -> Response:
    """Make a run and answer with its final values."""
    made = await agent.runs.make(principal, thread_id, unstreamed(sent))
    return awaited(await until_left(request, agent, principal, made), made.run)


def unstreamed(sent: RunRequest) -> RunRequest:
    """Whoever waits for the result alone is streamed nothing, unless the request names modes for others."""
    return sent if "stream_mode" in sent.model_fields_set else sent.model_copy(update={"stream_mode": []})


async def until_left(request: Request, agent: AgentRuntime, principal: Principal, made: Made) -> Any:
    """Wait for a run's result; a client that leaves stops the run where it asked for that."""
    run = made.run
    if (run.kwargs or {}).get("on_disconnect") != "cancel":
        return await agent.runs.result(principal, made)
    waiting = asyncio.ensure_future(agent.runs.result(principal, made))
    while not waiting.done():
        await asyncio.wait({waiting}, timeout=LOOK_S)
        if not waiting.done() and await request.is_disconnected():
            with suppress(NotFound):  # finished meanwhile
                await agent.runs.cancel(principal, str(run.thread_id), str(run.run_id))
            break
    return await waiting


def awaited(values: Any, run: AgentRun) -> Response:
    """Answer with the values that a run ended with."""
    return json_answer(values, headers=where(run, "join"))


@router.get("/threads/{thread_id}/runs")
async def list_runs(  # noqa: PLR0917 - a route
    thread_id: ThreadId,
    principal: RunReader,
    agent: Agent,
    limit: Annotated[int, Query(ge=1, le=1000)] = 10,
    offset: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    status: RunStatus | None = None,
    select: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """List a thread's runs, newest first."""
    found = await agent.runs.page(principal, thread_id, limit=limit, offset=offset, status=status)
    only = set(select) if select else None
    return json_answer([run.model_dump(mode="json", include=only) for run in found])


@router.get("/threads/{thread_id}/runs/{run_id}")
async def get_run(thread_id: ThreadId, run_id: RunId, principal: RunReader, agent: Agent) -> AgentRun:
    """Look at a run; SDKs do so after each stream, since no event says that it is over."""
    return await agent.runs.get(principal, thread_id, run_id)


@router.delete("/threads/{thread_id}/runs/{run_id}", status_code=204, response_class=Response)
async def delete_run(thread_id: ThreadId, run_id: RunId, principal: RunWriter, agent: Agent) -> None:
    """Forget a finished run."""
    await agent.runs.delete(principal, thread_id, run_id)


@router.get("/threads/{thread_id}/runs/{run_id}/join")
async def join_run(thread_id: ThreadId, run_id: RunId, principal: RunReader, agent: Agent) -> Response:
    """Wait for a run's end; its final values."""
    run = await agent.runs.get(principal, thread_id, run_id)
    return awaited(await agent.runs.join(principal, thread_id, run_id), run)


@router.get("/threads/{thread_id}/runs/{run_id}/stream")
async def rejoin_run(  # noqa: PLR0917 - a route
    thread_id: ThreadId,
    run_id: RunId,
    request: Request,
    principal: RunReader,
    agent: Agent,
    stream_mode: Annotated[list[str] | None, Query()] = None,
    cancel_on_disconnect: bool = False,  # noqa: FBT001, FBT002 - a query parameter
) -> Response:
    """Follow a run from now on, or from an id on, also after it has ended (if it is resumable)."""
    if cancel_on_disconnect:
        check_holds(principal, "runs:write")
    run = await agent.runs.get(principal, thread_id, run_id)
    resumable = bool((run.kwargs or {}).get("stream_resumable"))
    _, head = await agent.log.head(thread_id)
    after = position(request, head=head) if resumable or run.status not in _FINISHED else head
    await agent.log.check(thread_id, after, run_id)
    wanted = frozenset(mode for given in stream_mode or () for mode in given.split(",") if mode)

    async def leave() -> None:
        if cancel_on_disconnect and run_id in await agent.runs.active(principal, thread_id):
            await agent.runs.cancel(principal, thread_id, run_id)

    batches = agent.log.batches(thread_id, after, run_id)
    wants = (lambda record: _is_of(record, wanted)) if wanted else None
    return event_stream(batches, resumable=resumable, wants=wants, on_leave=leave, headers=where(run))


def _is_of(record: LoggedEvent, modes: frozenset[str]) -> bool:
    """Whether a record belongs to one of the modes asked for; how the run goes always does."""
    if record.type != "part":
        return True
    event = record.data["event"]
    if event == "messages":
        return "messages-tuple" in modes
    return event.partition("/")[0] in modes


@router.post("/threads/{thread_id}/runs/{run_id}/cancel")
async def cancel_run(  # noqa: PLR0917 - a route
    thread_id: ThreadId,
    run_id: RunId,
    principal: RunWriter,
    agent: Agent,
    wait: bool = False,  # noqa: FBT001, FBT002 - a query parameter
    action: str = "interrupt",
) -> Response:
    """Stop a run; with `wait` the answer comes when it has stopped."""
    await agent.runs.cancel(principal, thread_id, run_id, wait=wait, action=_action(action))
    return JSONResponse({}) if wait else Response(status_code=202)


def _action(given: str) -> str:
    if given not in {"interrupt", "rollback"}:
        raise InvalidInput("action is interrupt or rollback")
    return given
