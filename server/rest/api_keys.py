"""API keys: everybody their own. They open `/v1`; here they open nothing."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request

from ...auth.api_keys.schemas import ApiKey, KeyOptions, NewApiKey
from ...auth.api_keys.service import ApiKeys
from ...core.types import Principal
from ..deps import needs

router = APIRouter(prefix="/api-keys", tags=["api keys"])
KeyReader = Annotated[Principal, needs("api-keys:read")]
KeyWriter = Annotated[Principal, needs("api-keys:write")]


async def keys_of(request: Request) -> ApiKeys:
    """The keys of the app that serves this request."""
    keys: ApiKeys = request.app.state.api_keys
    return keys


CurrentKeys = Annotated[ApiKeys, Depends(keys_of)]


@router.post("", status_code=201)
async def create_api_key(body: KeyOptions, principal: KeyWriter, keys: CurrentKeys) -> NewApiKey:
    """Make a key; `key` is told this once."""
    return await keys.create(principal, body)


@router.get("")
async def list_api_keys(principal: KeyReader, keys: CurrentKeys) -> list[ApiKey]:
    """List your keys, revoked ones too, oldest first."""
    return await keys.list(principal)


@router.delete("/{key_id}")
async def revoke_api_key(key_id: str, principal: KeyWriter, keys: CurrentKeys) -> ApiKey:
    """Revoke a key: at once here, within two seconds in other processes."""
    return await keys.revoke(principal, key_id)


@router.post("/{key_id}/rotate")
async def rotate_api_key(key_id: str, principal: KeyWriter, keys: CurrentKeys) -> NewApiKey:
    """Give a key another secret, told this once; the old one is dead."""
    return await keys.rotate(principal, key_id)
