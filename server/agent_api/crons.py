"""Crons: runs that a clock starts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from ...runtime.crons.schemas import Cron, CronChange, CronFilter, CronSearch, NewCron
from .answers import page_headers
from .deps import Agent, CronReader, CronWriter, ThreadId, body, read_uuid

router = APIRouter(tags=["crons"])
Asked = Annotated[NewCron, Depends(body(NewCron))]


async def cron_id(request: Request) -> str:
    """The path's cron id, in its canonical form; `InvalidInput` when it is none."""
    return read_uuid("cron ID", request.path_params["cron_id"])


CronId = Annotated[str, Depends(cron_id)]


@router.post("/runs/crons")
async def create_cron(sent: Asked, principal: CronWriter, agent: Agent) -> Cron:
    """Make a cron whose runs have a thread each."""
    return await agent.crons.create(principal, None, sent)


@router.post("/threads/{thread_id}/runs/crons")
async def create_thread_cron(thread_id: ThreadId, sent: Asked, principal: CronWriter, agent: Agent) -> Cron:
    """Make a cron whose runs share a thread."""
    return await agent.crons.create(principal, thread_id, sent)


@router.post("/runs/crons/search")
async def search_crons(
    sent: Annotated[CronSearch, Depends(body(CronSearch))], response: Response, principal: CronReader, agent: Agent
) -> list[dict[str, Any]]:
    """List crons, newest first unless asked otherwise."""
    found, more = await agent.crons.search(principal, sent)
    response.headers.update(page_headers(sent.offset, len(found), more=more))
    wanted: set[str] | None = set(sent.select) if sent.select else None
    return [cron.model_dump(mode="json", include=wanted) for cron in found]


@router.post("/runs/crons/count")
async def count_crons(
    sent: Annotated[CronFilter, Depends(body(CronFilter))], principal: CronReader, agent: Agent
) -> int:
    """Count crons."""
    return await agent.crons.count(principal, sent)


@router.get("/runs/crons/{cron_id}")
async def get_cron(cron_id: CronId, principal: CronReader, agent: Agent) -> Cron:
    """Look at one cron."""
    return await agent.crons.get(principal, cron_id)


@router.patch("/runs/crons/{cron_id}")
async def update_cron(
    cron_id: CronId, sent: Annotated[CronChange, Depends(body(CronChange))], principal: CronWriter, agent: Agent
) -> Cron:
    """Change a cron."""
    return await agent.crons.update(principal, cron_id, sent)


@router.delete("/runs/crons/{cron_id}", status_code=204, response_class=Response)
async def delete_cron(cron_id: CronId, principal: CronWriter, agent: Agent) -> None:
    """Forget a cron; runs it started go on."""
    await agent.crons.delete(principal, cron_id)
