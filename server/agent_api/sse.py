"""Runs as server-sent events: `event`, `data`, and `id` only where the run is resumable (wire: C.3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from starlette.requests import Request

from ...core.errors import InvalidInput
from ...runtime.agent_runs.parts import PART, cut, frame_event
from ...runtime.agent_runs.values import error_of
from ...store.records import FINISHED, LoggedEvent
from ...store.texts import dump_json
from .streaming import Frames

_NUMBERED: Final = "sse with id"
_BARE: Final = "sse"
_FAILED: Final = frozenset({"error", "timeout"})


def frame(record: LoggedEvent, *, resumable: bool) -> str:
    """Encode a record once for all its readers; nothing for records that this surface does not show."""
    key = _NUMBERED if resumable else _BARE
    known: str | None = record.memo.get(key)
    if known is None:
        known = record.memo[key] = _framed(record, record.seq if resumable else None)
    return known


def _framed(record: LoggedEvent, number: int | None) -> str:
    if record.type == PART:
        text = record.text
        event, data = cut(text) if text is not None else _read(record.data)
        return _frame(event, data, number)
    said = _said(record)
    return _frame(said[0], dump_json(said[1]), number) if said is not None else ""


def _read(part: dict[str, Any]) -> tuple[str, str]:
    return frame_event(part["event"], part["ns"]), dump_json(part["data"])


def _said(record: LoggedEvent) -> tuple[str, Any] | None:
    data = record.data
    if record.type == "run.started":
        return "metadata", {"run_id": data["run_id"], "attempt": data["attempt"]}
    if record.type == FINISHED and data["status"] in _FAILED:
        return "error", error_of(data.get("error") or {})["__error__"]
    return None


def encode(event: str, data: Any, *, number: int | None) -> str:
    """Write one frame, with an id where there is a number."""
    return _frame(event, dump_json(data), number)


def _frame(event: str, data: str, number: int | None) -> str:
    last = f"id: {number}-0\n" if number is not None else ""
    return f"event: {event}\ndata: {data}\n{last}\n"


def position(request: Request, *, head: int) -> int:
    """Where a reader wants to go on: after `Last-Event-ID`; `-`, `-1` and `0` mean from the beginning.

    Raises:
        InvalidInput: It is not an id of ours.
    """
    given = request.headers.get("last-event-id")
    if given is None:
        return head
    if given in {"-", "-1", "0"}:
        return 0
    number = given.partition("-")[0]
    if not number.isdecimal() or len(number) > 18:  # noqa: PLR2004 - more digits than any seq has
        raise InvalidInput("Last-Event-ID is not one of this server's")
    return int(number)


_LEAVING: set[asyncio.Task[None]] = set()


def _see_to(left: Coroutine[Any, Any, None]) -> None:
    """Do it in a task of its own: the response's is being cancelled."""
    task = asyncio.get_running_loop().create_task(left)
    _LEAVING.add(task)
    task.add_done_callback(_LEAVING.discard)


def event_stream(
    batches: AsyncGenerator[Sequence[LoggedEvent], None],
    *,
    resumable: bool,
    wants: Callable[[LoggedEvent], bool] | None = None,
    on_leave: Callable[[], Coroutine[Any, Any, None]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Frames:
    """Answer with a run's records as they come. The connection closes when they end; there is no last event.

    Args:
        batches: Records, in order.
        resumable: Whether frames carry ids.
        wants: Keeps a record from this reader.
        on_leave: Called when the reader goes before the end.
        headers: Where the run is.
    """

    async def chunks() -> AsyncGenerator[bytes, None]:
        ended = False
        try:
            async with aclosing(batches):
                async for batch in batches:
                    shown = batch if wants is None else [each for each in batch if wants(each)]
                    if text := "".join([frame(each, resumable=resumable) for each in shown]):
                        yield text.encode()
            ended = True
        finally:
            if not ended and on_leave is not None:
                _see_to(on_leave())

    return Frames(chunks(), headers)
