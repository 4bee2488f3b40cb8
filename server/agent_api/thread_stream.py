"""One stream over all runs of a thread: what they say, that they begin and end, and changes by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response

from ...core.errors import InvalidInput, NotFound
from ...core.types import Principal
from ...runtime.agent import AgentRuntime
from ...runtime.threads.agent import STATE_UPDATED
from ...runtime.threads.shapes import CheckpointRef, StateQuery
from ...store.records import FINISHED, LoggedEvent
from .deps import Agent, RunReader, ThreadId
from .sse import encode, frame, position
from .streaming import Frames

router = APIRouter(tags=["threads"])
RUN_MODES, LIFECYCLE, STATE_UPDATE = "run_modes", "lifecycle", "state_update"
MODES: Final = frozenset({RUN_MODES, LIFECYCLE, STATE_UPDATE})
_TURNS: Final = frozenset({"run.started", FINISHED})


@router.get("/threads/{thread_id}/stream")
async def stream_thread(  # noqa: PLR0917 - a route
    thread_id: ThreadId,
    request: Request,
    principal: RunReader,
    agent: Agent,
    stream_mode: Annotated[list[str] | None, Query()] = None,
    stream_modes: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """Follow a thread from now on, or from an id on (`-`: from the beginning), over all its runs."""
    asked = [mode for given in (*(stream_mode or ()), *(stream_modes or ())) for mode in given.split(",")]
    modes = frozenset(asked or [RUN_MODES])
    if not modes <= MODES:
        raise InvalidInput(f"stream_mode is one or several of {', '.join(sorted(MODES))}")
    await agent.threads.get(principal, thread_id)
    _, head = await agent.log.head(thread_id)
    after = position(request, head=head)
    await agent.log.check(thread_id, after or None)
    return Frames(_frames(agent, principal, thread_id, after=after or None, modes=modes))


async def _frames(
    agent: AgentRuntime, principal: Principal, thread_id: str, *, after: int | None, modes: frozenset[str]
) -> AsyncGenerator[bytes, None]:
    async with aclosing(agent.log.batches(thread_id, after)) as batches:
        async for batch in batches:
            shown = [_shown(record, modes) for record in batch if record.type != STATE_UPDATED]
            if STATE_UPDATE in modes:
                changed = [record for record in batch if record.type == STATE_UPDATED]
                shown += [await _state(agent, principal, record) for record in changed]
            if text := "".join(shown):
                yield text.encode()


def _shown(record: LoggedEvent, modes: frozenset[str]) -> str:
    turns = record.type in _TURNS
    if RUN_MODES not in modes and not (turns and LIFECYCLE in modes):
        return ""
    said = frame(record, resumable=True) if RUN_MODES in modes or record.type != FINISHED else ""
    if record.type != FINISHED:
        return said
    return said + encode("metadata", {"status": "run_done", "run_id": record.run_id}, number=record.seq)


async def _state(agent: AgentRuntime, principal: Principal, record: LoggedEvent) -> str:
    """The state that somebody wrote by hand, read from its checkpoint; nothing where that is gone."""
    at = record.data["checkpoint"]
    where = CheckpointRef(checkpoint_id=at["checkpoint_id"], checkpoint_ns=at.get("checkpoint_ns", ""))
    try:
        state: Any = await agent.threads.state(principal, record.thread_id, StateQuery(checkpoint=where))
    except NotFound:
        return ""
    return encode("state_update", {"state": state, "thread_id": record.thread_id}, number=record.seq)
