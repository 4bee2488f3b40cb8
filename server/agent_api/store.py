"""Items of the long-term store."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from pydantic import ValidationError

from ...core.errors import BadRequest, InvalidInput
from ...runtime.items.schemas import FoundItem, ItemKey, ItemSearch, NamespaceSearch, NewItem, StoredItem
from .deps import Agent, StoreReader, StoreWriter, body
from .errors import said

router = APIRouter(prefix="/store", tags=["store"])


@router.put("/items", status_code=204, response_class=Response)
async def put_item(sent: Annotated[NewItem, Depends(body(NewItem))], principal: StoreWriter, agent: Agent) -> None:
    """Store an item, or replace the one at its place."""
    await agent.items.put(principal, sent)


@router.get("/items")
async def get_item(
    principal: StoreReader,
    agent: Agent,
    namespace: str = "",
    key: str | None = None,
    refresh_ttl: Annotated[bool | None, Query()] = None,
) -> StoredItem | None:
    """Fetch an item by its dot-joined namespace and its key; `null` when there is none."""
    if key is None:
        raise BadRequest("Key is required")
    try:
        place = ItemKey(namespace=namespace.split("."), key=key)
    except ValidationError as exc:
        raise InvalidInput(said(exc.errors(include_url=False, include_input=False))) from exc
    return await agent.items.get(principal, place, refresh_ttl=refresh_ttl)


@router.delete("/items", status_code=204, response_class=Response)
async def delete_item(sent: Annotated[ItemKey, Depends(body(ItemKey))], principal: StoreWriter, agent: Agent) -> None:
    """Forget an item, if there is one."""
    await agent.items.delete(principal, sent)


@router.post("/items/search")
async def search_items(
    sent: Annotated[ItemSearch, Depends(body(ItemSearch))], principal: StoreReader, agent: Agent
) -> dict[str, list[FoundItem]]:
    """Find items below a namespace."""
    return {"items": await agent.items.search(principal, sent)}


@router.post("/namespaces")
async def list_namespaces(
    sent: Annotated[NamespaceSearch, Depends(body(NamespaceSearch))], principal: StoreReader, agent: Agent
) -> dict[str, list[list[str]]]:
    """List the namespaces that hold items."""
    return {"namespaces": await agent.items.namespaces(principal, sent)}
