"""Server-sent events: a view of the event log, encoded, with an id on every event for exact resumption."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sse_starlette import EventSourceResponse, ServerSentEvent

from ..core.errors import InvalidInput
from ..store.records import LoggedEvent
from ..store.texts import dump_json
from .agui import encode

PING_SECONDS = 15
_LONGEST_SEQ = 18
"""Digits that every database's integer holds."""


def event_id(epoch: str, seq: int) -> str:
    """The opaque id of a log position."""
    return f"{epoch}:{seq}"


def position(last_event_id: str | None, epoch: str) -> int:
    """Read a `Last-Event-ID`: the seq to go on after; 0 when there is none or the log was begun anew."""
    if not last_event_id:
        return 0
    told, _, seq = last_event_id.rpartition(":")
    if not (seq.isascii() and seq.isdigit()) or len(seq) > _LONGEST_SEQ:
        raise InvalidInput("Last-Event-ID is not one of ours; leave it out to start over.", code="bad_event_id")
    return int(seq) if told == epoch else 0


async def encoded(records: AsyncIterator[LoggedEvent], epoch: str) -> AsyncIterator[ServerSentEvent]:
    """Encode records one to one as AG-UI events."""
    async for record in records:
        event = encode(record)
        if event is not None:
            # Models send halves of characters; one must not end the stream.
            data = dump_json(event, escaped=False)
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
