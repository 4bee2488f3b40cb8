"""Assistants: graphs with a configuration, their versions, and what their graphs look like."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from ...runtime.assistants.schemas import (
    Assistant,
    AssistantFilter,
    AssistantPatch,
    AssistantSearch,
    AssistantVersion,
    Latest,
    NewAssistant,
    VersionSearch,
    assistant_uuid,
)
from ...runtime.graphs.drawing import read_xray
from ..deps import check_holds
from .answers import json_answer, page_headers
from .deps import Agent, AssistantReader, AssistantWriter, body

router = APIRouter(tags=["assistants"])
_YES = frozenset({"true", "1"})


async def assistant_id(request: Request) -> str:
    """The path's assistant id, in its canonical form; `InvalidInput` when it is none."""
    return assistant_uuid(request.path_params["assistant_id"])


AssistantId = Annotated[str, Depends(assistant_id)]


@router.post("/assistants")
async def create_assistant(
    sent: Annotated[NewAssistant, Depends(body(NewAssistant))], principal: AssistantWriter, agent: Agent
) -> Assistant:
    """Make an assistant."""
    return await agent.assistants.create(principal, sent)


@router.post("/assistants/search")
async def search_assistants(
    sent: Annotated[AssistantSearch, Depends(body(AssistantSearch))], principal: AssistantReader, agent: Agent
) -> Response:
    """Find assistants; the headers say whether there are more."""
    found, more = await agent.assistants.search(principal, sent)
    headers = page_headers(sent.offset, len(found), more=more)
    wanted: set[str] | None = set(sent.select) if sent.select else None
    return json_answer([each.model_dump(mode="json", include=wanted) for each in found], headers=headers)


@router.post("/assistants/count")
async def count_assistants(
    sent: Annotated[AssistantFilter, Depends(body(AssistantFilter))], principal: AssistantReader, agent: Agent
) -> int:
    """Count assistants."""
    return await agent.assistants.count(principal, sent)


@router.get("/assistants/{assistant_id}")
async def get_assistant(assistant_id: AssistantId, principal: AssistantReader, agent: Agent) -> Assistant:
    """Look at one assistant."""
    return await agent.assistants.get(principal, assistant_id)


@router.patch("/assistants/{assistant_id}")
async def update_assistant(
    assistant_id: AssistantId,
    sent: Annotated[AssistantPatch, Depends(body(AssistantPatch))],
    principal: AssistantWriter,
    agent: Agent,
) -> Assistant:
    """Make a new version of an assistant."""
    return await agent.assistants.update(principal, assistant_id, sent)


@router.delete("/assistants/{assistant_id}", status_code=204, response_class=Response)
async def delete_assistant(
    assistant_id: AssistantId, principal: AssistantWriter, agent: Agent, delete_threads: str = ""
) -> None:
    """Forget an assistant, with its threads if asked."""
    threads = delete_threads.lower() in _YES
    if threads:
        check_holds(principal, "threads:write")
    await agent.assistants.delete(principal, assistant_id, delete_threads=threads)


@router.post("/assistants/{assistant_id}/versions")
async def list_versions(
    assistant_id: AssistantId,
    sent: Annotated[VersionSearch, Depends(body(VersionSearch))],
    principal: AssistantReader,
    agent: Agent,
) -> list[AssistantVersion]:
    """List an assistant's versions, newest first."""
    return await agent.assistants.versions(principal, assistant_id, sent)


@router.post("/assistants/{assistant_id}/latest")
async def set_latest(
    assistant_id: AssistantId,
    sent: Annotated[Latest, Depends(body(Latest))],
    principal: AssistantWriter,
    agent: Agent,
) -> Assistant:
    """Put a version in force again."""
    return await agent.assistants.set_latest(principal, assistant_id, sent.version)


@router.get("/assistants/{assistant_id}/graph")
async def draw_graph(assistant_id: str, principal: AssistantReader, agent: Agent, xray: str | None = None) -> Response:
    """Draw the graph; this route takes a graph's name in place of an id."""
    depth = read_xray(xray)
    named = assistant_id if assistant_id in agent.graphs else assistant_uuid(assistant_id)
    assistant = await agent.assistants.resolve(principal, named)
    return json_answer(await agent.views.drawing(principal, assistant, xray=depth))


@router.get("/assistants/{assistant_id}/schemas")
async def get_schemas(assistant_id: AssistantId, principal: AssistantReader, agent: Agent) -> dict[str, Any]:
    """Tell what the graph takes and gives."""
    return await agent.views.schemas(principal, await agent.assistants.get(principal, assistant_id))


@router.get("/assistants/{assistant_id}/subgraphs")
@router.get("/assistants/{assistant_id}/subgraphs/{namespace:path}")
async def get_subgraphs(
    assistant_id: AssistantId,
    principal: AssistantReader,
    agent: Agent,
    namespace: str | None = None,
    recurse: str = "",
) -> dict[str, Any]:
    """Tell what the graphs inside the graph take and give."""
    assistant = await agent.assistants.get(principal, assistant_id)
    deep = recurse.lower() in _YES
    return await agent.views.subgraphs(principal, assistant, namespace=namespace, recurse=deep)
