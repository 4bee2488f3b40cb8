"""Clients of the authorization server: for the administrators of a tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from ...auth.clients.schemas import ClientChange, ClientOptions, NewOAuthClient, OAuthClient, Rotation
from ...auth.clients.service import Clients
from ...core.types import Principal
from ...runtime.paging import Page, decode_cursor, encode_cursor
from ..origins import origin_of
from .admin import admin_needs

router = APIRouter(prefix="/clients", tags=["clients"])
ClientAdmin = Annotated[Principal, admin_needs("clients:admin")]


async def clients_of(request: Request) -> Clients:
    """The clients of the app that serves this request."""
    clients: Clients = request.app.state.identity.clients
    return clients


CurrentClients = Annotated[Clients, Depends(clients_of)]


@router.post("", status_code=201)
async def create_client(
    body: ClientOptions, principal: ClientAdmin, clients: CurrentClients, request: Request
) -> NewOAuthClient:
    """Register a client; `client_secret` is told this once."""
    return await clients.create(principal, body, origin=origin_of(request))


@router.get("")
async def list_clients(
    principal: ClientAdmin,
    clients: CurrentClients,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[OAuthClient]:
    """List clients, newest first."""
    after = None if cursor is None else decode_cursor(cursor)
    found = await clients.list(principal, limit=limit + 1, after=after)
    items = list(found[:limit])
    more = encode_cursor(items[-1].created_at, items[-1].id) if len(found) > limit else None
    return Page(items=items, next_cursor=more)


@router.get("/{client_id}")
async def get_client(client_id: str, principal: ClientAdmin, clients: CurrentClients) -> OAuthClient:
    """Look at a client."""
    return await clients.get(principal, client_id)


@router.patch("/{client_id}")
async def update_client(
    client_id: str, body: ClientChange, principal: ClientAdmin, clients: CurrentClients, request: Request
) -> OAuthClient:
    """Change a client; one that may do less than before loses its tokens."""
    return await clients.update(principal, client_id, body, origin=origin_of(request))


@router.post("/{client_id}/rotate-secret")
async def rotate_client_secret(
    client_id: str, body: Rotation, principal: ClientAdmin, clients: CurrentClients, request: Request
) -> NewOAuthClient:
    """Give a client another secret, told this once; the old one is good for `grace_hours` more."""
    grace = timedelta(hours=body.grace_hours)
    return await clients.rotate_secret(principal, client_id, grace=grace, origin=origin_of(request))


@router.post("/{client_id}/disable")
async def disable_client(
    client_id: str, principal: ClientAdmin, clients: CurrentClients, request: Request
) -> OAuthClient:
    """Let a client have no tokens, and end those it has."""
    return await clients.disable(principal, client_id, origin=origin_of(request))


@router.post("/{client_id}/enable")
async def enable_client(
    client_id: str, principal: ClientAdmin, clients: CurrentClients, request: Request
) -> OAuthClient:
    """Let a client have tokens again."""
    return await clients.enable(principal, client_id, origin=origin_of(request))


@router.delete("/{client_id}", status_code=204)
async def delete_client(client_id: str, principal: ClientAdmin, clients: CurrentClients, request: Request) -> None:
    """Delete a client, end its tokens, and forget what people allowed it."""
    await clients.delete(principal, client_id, origin=origin_of(request))
