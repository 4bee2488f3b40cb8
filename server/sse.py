"""Server-sent events: a view of the event log, encoded, with an id on every event for exact resumption."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from sse_starlette import EventSourceResponse

from ..core.errors import InvalidInput
from ..store.records import LoggedEvent
from ..store.texts import dump_json
from .agui import encode

PING_SECONDS = 15
_MEMO: Final = "ag-ui"
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


async def encoded(batches: AsyncGenerator[Sequence[LoggedEvent], None], epoch: str) -> AsyncGenerator[bytes, None]:
    """Encode records as AG-UI events: as many at a time as there are, each once for all its readers."""
    async with aclosing(batches):
        async for batch in batches:
            if frames := "".join([_frame(record, epoch) for record in batch]):
                yield frames.encode()


def _frame(record: LoggedEvent, epoch: str) -> str:
    """One event; nothing for a record that clients need not see."""
    data: str | None = record.memo.get(_MEMO)
    if data is None:
        event = encode(record)
        # Models send halves of characters; one must not end the stream.
        data = record.memo[_MEMO] = dump_json(event, escaped=False) if event is not None else ""
    return f"id: {event_id(epoch, record.seq)}\r\ndata: {data}\r\n\r\n" if data else ""


def stream(
    batches: AsyncGenerator[Sequence[LoggedEvent], None], epoch: str, *, headers: dict[str, str] | None = None
) -> EventSourceResponse:
    """The response: unbuffered, kept alive by comments."""
    return EventSourceResponse(
        encoded(batches, epoch),
        ping=PING_SECONDS,
        headers={"cache-control": "no-store", "x-accel-buffering": "no", **(headers or {})},
    )
