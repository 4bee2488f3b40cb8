"""The thread protocol v2 over HTTP: commands, and the stream of a thread's events as SSE."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic_core import from_json
from starlette.responses import JSONResponse

from ...core.errors import BadRequest
from ...core.types import Principal
from ...runtime.protocol.commands import is_command
from ...runtime.protocol.encoding import Encoded, encoded
from ...runtime.protocol.following import let_pass
from ...runtime.protocol.service import ThreadProtocol
from ...runtime.protocol.subscribing import Subscription, subscription_of
from .deps import Agent, RunReader, RunWriter, ThreadId
from .streaming import Frames

router = APIRouter(tags=["protocol"])


async def _json(request: Request) -> Any:
    """The body as JSON, whatever the content type says: neither too deep nor with characters that are none."""
    try:
        return from_json(await request.body())
    except ValueError as exc:
        raise BadRequest("Invalid JSON body") from exc


@router.post("/threads/{thread_id}/commands")
async def command(thread_id: str, request: Request, principal: RunWriter, agent: Agent) -> Response:
    """Carry out one command; refusals are answers with status 200."""
    sent = await _json(request)
    answer = await agent.protocol.commands.execute(principal, thread_id, sent)
    return JSONResponse(answer, status_code=200 if is_command(sent) else 400)


@router.post(
    "/threads/{thread_id}/stream/events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def events(thread_id: ThreadId, request: Request, principal: RunReader, agent: Agent) -> Response:
    """Replay the events after `since` that were asked for, then go on live, over all runs of the thread.

    The thread need not exist yet.
    """
    asked = subscription_of(await _json(request))
    return Frames(_frames(agent.protocol, principal, thread_id, asked))


async def _frames(
    protocol: ThreadProtocol, principal: Principal, thread_id: str, asked: Subscription
) -> AsyncGenerator[bytes, None]:
    async with aclosing(protocol.following.batches(principal, thread_id, asked.since)) as batches:
        async for batch in batches:
            wanted = [each for record in batch for each in encoded(record) if asked.wants(each.event)]
            if wanted:
                await let_pass([asked], batch)
                yield "".join([_frame(each) for each in wanted]).encode()


def _frame(each: Encoded) -> str:
    return f"event: {each.event['method']}\ndata: {each.text}\nid: {each.event['seq']}\n\n"
