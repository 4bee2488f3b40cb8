"""Threads and what was said in them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from ...core.types import ThreadStatus
from ...runtime.paging import Page
from ...runtime.threads.schemas import Message, Thread
from ..deps import CurrentRuntime, ThreadReader, ThreadWriter
from .bodies import NewThread, ThreadChange

router = APIRouter(prefix="/threads", tags=["threads"])


@router.post("", status_code=201)
async def create_thread(
    body: NewThread, response: Response, principal: ThreadWriter, runtime: CurrentRuntime
) -> Thread:
    """Begin a thread in a workspace."""
    thread = await runtime.threads.create(principal, workspace_id=body.workspace_id, title=body.title)
    response.headers["location"] = f"/api/v1/threads/{thread.id}"
    return thread


@router.get("")
async def list_threads(
    principal: ThreadReader,
    runtime: CurrentRuntime,
    status: ThreadStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[Thread]:
    """List your threads, newest first."""
    return await runtime.threads.list(principal, status=status, limit=limit, cursor=cursor)


@router.get("/{thread_id}")
async def get_thread(thread_id: str, principal: ThreadReader, runtime: CurrentRuntime) -> Thread:
    """Look at one thread."""
    return await runtime.threads.get(principal, thread_id)


@router.patch("/{thread_id}")
async def change_thread(thread_id: str, body: ThreadChange, principal: ThreadWriter, runtime: CurrentRuntime) -> Thread:
    """Rename a thread."""
    return await runtime.threads.update(principal, thread_id, title=body.title)


@router.delete("/{thread_id}", status_code=204)
async def delete_thread(thread_id: str, principal: ThreadWriter, runtime: CurrentRuntime) -> None:
    """Delete a thread with its runs, events and checkpoints; a run in progress is cancelled."""
    await runtime.threads.delete(principal, thread_id)


@router.get("/{thread_id}/messages")
async def list_messages(thread_id: str, principal: ThreadReader, runtime: CurrentRuntime) -> list[Message]:
    """Read the conversation, an unfinished turn included."""
    return list(await runtime.threads.messages(principal, thread_id))
