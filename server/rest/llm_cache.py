"""What the response cache was good for, and forgetting its answers: each administrator in their own tenant."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import Field, model_validator

from ...core.types import Principal
from ...llm.cache.admin import CacheAdmin
from ...llm.cache.tags import LONGEST
from ..deps import CurrentRuntime, needs
from .bodies import Body

router = APIRouter(prefix="/llm-cache", tags=["llm"])
LlmAdmin = Annotated[Principal, needs("llm:admin")]


async def cache_of(runtime: CurrentRuntime) -> CacheAdmin:
    """The cache of the runtime that serves this request."""
    return runtime.llm.caches.admin


CurrentCache = Annotated[CacheAdmin, Depends(cache_of)]


class Invalidation(Body):
    """What to forget: the answers that depend on a tag, one answer, or all of the tenant's."""

    tags: list[Annotated[str, Field(min_length=1, max_length=LONGEST)]] = Field(default_factory=list, max_length=100)
    key: str | None = Field(None, min_length=2, max_length=200)
    tenant: Literal[True] | None = None

    @model_validator(mode="after")
    def _one(self) -> Invalidation:
        if sum(map(bool, (self.tags, self.key, self.tenant))) != 1:
            raise ValueError("name exactly one of tags, key and tenant")
        return self


@router.get("")
async def cache_stats(principal: LlmAdmin, cache: CurrentCache) -> dict[str, Any]:
    """Tell hits, misses and precision of your tenant since this process began, and how full the store is."""
    return cache.stats(principal.tenant_id)


@router.post("/invalidate", status_code=204)
async def invalidate(body: Invalidation, principal: LlmAdmin, cache: CurrentCache) -> None:
    """Forget answers of your tenant, at once, in every process."""
    if body.key is not None:
        await cache.purge(principal.tenant_id, body.key)
    elif body.tags:
        await cache.bump(principal.tenant_id, body.tags)
    else:
        await cache.forget(principal.tenant_id)
