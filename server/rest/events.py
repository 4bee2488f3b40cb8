"""The stream of a thread: AG-UI events over SSE, replayed exactly from any point."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from ...store.eventlog import EventLog
from ...store.records import LoggedEvent
from ..deps import CurrentRuntime, RunReader
from ..sse import position, stream

router = APIRouter(prefix="/threads/{thread_id}/events", tags=["events"])


@router.get("", response_class=Response, responses={200: {"content": {"text/event-stream": {}}}})
async def thread_events(
    thread_id: str,
    principal: RunReader,
    runtime: CurrentRuntime,
    *,
    run_id: Annotated[str | None, Query(max_length=64, description="Only this run; the stream ends with it")] = None,
    follow: Annotated[bool, Query(description="false: end when the log has been replayed")] = True,
    last_event_id: Annotated[str | None, Header(max_length=200)] = None,
) -> Response:
    """Replay the log after `Last-Event-ID` (without one, all that is kept), then go on live."""
    thread = await runtime.threads.get(principal, thread_id)
    if run_id is not None:
        await runtime.runs.get(principal, thread_id, run_id)
    after = position(last_event_id, thread.epoch) or None
    if after is not None or run_id is not None:  # else there is nothing that could be missing
        await runtime.log.check(thread_id, after, run_id)
    logged = runtime.log.batches if follow else partial(_replayed, runtime.log)
    return stream(logged(thread_id, after, run_id), thread.epoch)


async def _replayed(
    log: EventLog, thread_id: str, after: int | None, run_id: str | None
) -> AsyncGenerator[Sequence[LoggedEvent], None]:
    yield await log.read(thread_id, after, run_id=run_id)
