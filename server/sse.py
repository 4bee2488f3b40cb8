"""Server-sent events: a view of the event log, encoded, with an id on every event for exact resumption."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent

from ..core.errors import InvalidInput
from ..store.eventlog import LoggedEvent
from .agui import encode

PING_SECONDS = 15


def event_id(epoch: str, seq: int) -> str:
    """The opaque id of a log position."""
    return f"{epoch}:{seq}"


def position(last_event_id: str | None, epoch: str) -> int:
    """Read a `Last-Event-ID`: the seq to go on after; 0 when there is none or the log was begun anew."""
    if not last_event_id:
        return 0
    told, _, seq = last_event_id.rpartition(":")
    if not seq.isdigit():
        raise InvalidInput("Last-Event-ID is not one of ours; leave it out to start over.", code="bad_event_id")
    return int(seq) if told == epoch else 0


async def encoded(records: AsyncIterator[LoggedEvent], epoch: str) -> AsyncIterator[ServerSentEvent]:
    """Encode records one to one as AG-UI events."""
    async for record in records:
        event = encode(record)
        if event is not None:
            data = json.dumps(event, ensure_ascii=False, separators=(",", ":"), default=str)
            yield ServerSentEvent(data=data, id=event_id(epoch, record.seq))


def stream(
    records: AsyncIterator[LoggedEvent], epoch: str, *, headers: dict[str, str] | None = None
) -> EventSourceResponse:
    """The response: unbuffered, kept alive by comments."""
    return EventSourceResponse(
        encoded(records, epoch),
        ping=PING_SECONDS,
        headers={"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})},
    )
