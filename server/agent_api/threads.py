"""Threads: made, found, changed, copied, pruned, deleted."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Response

from ...core.errors import Unsupported
from ...runtime.threads.shapes import NewAgentThread, Prune, ThreadFilter, ThreadPatch, ThreadSearch
from .answers import json_answer, page_headers
from .deps import Agent, ThreadId, ThreadReader, ThreadWriter, body

router = APIRouter(tags=["threads"])


@router.post("/threads")
async def create_thread(
    sent: Annotated[NewAgentThread, Depends(body(NewAgentThread))], principal: ThreadWriter, agent: Agent
) -> Response:
    """Make a thread."""
    return json_answer(await agent.threads.create(principal, sent))


@router.post("/threads/search")
async def search_threads(
    sent: Annotated[ThreadSearch, Depends(body(ThreadSearch))], principal: ThreadReader, agent: Agent
) -> Response:
    """Find threads; the headers say whether there are more."""
    found, more = await agent.threads.search(principal, sent)
    headers = page_headers(sent.offset, len(found), more=more)
    return json_answer(found, headers=headers)


@router.post("/threads/count")
async def count_threads(
    sent: Annotated[ThreadFilter, Depends(body(ThreadFilter))], principal: ThreadReader, agent: Agent
) -> int:
    """Count threads."""
    return await agent.threads.count(principal, sent)


@router.post("/threads/prune")
async def prune_threads(
    sent: Annotated[Prune, Depends(body(Prune))], principal: ThreadWriter, agent: Agent
) -> dict[str, int]:
    """Drop threads, or all of them but their newest state."""
    return {"pruned_count": await agent.threads.prune(principal, sent)}


@router.get("/threads/{thread_id}")
async def get_thread(
    thread_id: ThreadId,
    principal: ThreadReader,
    agent: Agent,
    include: Annotated[list[str] | None, Query()] = None,
) -> Response:
    """Look at one thread."""
    named = {name for given in include or () for name in given.split(",")}
    return json_answer(await agent.threads.get(principal, thread_id, with_ttl="ttl" in named))


@router.patch("/threads/{thread_id}")
async def change_thread(
    thread_id: ThreadId,
    sent: Annotated[ThreadPatch, Depends(body(ThreadPatch))],
    principal: ThreadWriter,
    agent: Agent,
    prefer: Annotated[str | None, Header()] = None,
) -> Response:
    """Merge metadata, or set a time to live; `Prefer: return=minimal` spares the answer."""
    await agent.threads.change(principal, thread_id, sent)
    if prefer is not None and "return=minimal" in prefer:
        return Response(status_code=204)
    return json_answer(await agent.threads.get(principal, thread_id))


@router.delete("/threads/{thread_id}", status_code=204, response_class=Response)
async def delete_thread(thread_id: ThreadId, principal: ThreadWriter, agent: Agent) -> None:
    """Delete a thread with all that belongs to it; what runs is stopped first."""
    await agent.threads.delete(principal, thread_id)


@router.post("/threads/{thread_id}/copy")
async def copy_thread(thread_id: ThreadId, principal: ThreadWriter, agent: Agent) -> Response:
    """Make another thread with the same checkpoints."""
    return json_answer(await agent.threads.copy(principal, thread_id))


@router.get("/threads/{thread_id}/storage")
async def thread_storage(thread_id: ThreadId, principal: ThreadReader, agent: Agent) -> Response:
    """Not told here: our savers share their tables between threads."""
    await agent.threads.get(principal, thread_id)
    raise Unsupported("This server does not tell how much storage a thread takes")
