"""What requests to models used and cost: your own; with `llm:admin` the tenant's."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from ...core.errors import Unavailable
from ...core.types import Principal
from ...llm.accounting.ledger import SqlLedger
from ...llm.accounting.schemas import GroupBy, LedgerEntry, UsageFilter, UsageReport
from ...llm.accounting.usage import UsageService
from ...runtime.paging import Page, decode_cursor, encode_cursor
from ..deps import needs

router = APIRouter(prefix="/usage", tags=["usage"])
UsageReader = Annotated[Principal, needs("usage:read")]


async def usage_of(request: Request) -> UsageService:
    """The ledger of the app that serves this request."""
    ledger = request.app.state.runtime.llm.ledger
    if not isinstance(ledger, SqlLedger):
        raise Unavailable("This server writes no ledger: set CODELAB_LLM__LEDGER__ENABLED=true.")
    return UsageService(ledger)


CurrentUsage = Annotated[UsageService, Depends(usage_of)]


@router.get("")
async def get_usage(
    principal: UsageReader,
    usage: CurrentUsage,
    asked: Annotated[UsageFilter, Query()],
    group_by: Annotated[list[GroupBy], Query(max_length=3)] = [],  # noqa: B006 - FastAPI copies it
) -> UsageReport:
    """Sum up tokens, cost, savings, errors, and what the same would have cost at the best model."""
    return await usage.report(principal, asked, group_by)


@router.get("/requests")
async def list_requests(
    principal: UsageReader,
    usage: CurrentUsage,
    asked: Annotated[UsageFilter, Query()],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[LedgerEntry]:
    """List single requests, newest first."""
    found = await usage.requests(principal, asked, limit=limit, after=None if cursor is None else decode_cursor(cursor))
    items = list(found[:limit])
    more = encode_cursor(items[-1].started_at, items[-1].id) if len(found) > limit else None
    return Page(items=items, next_cursor=more)
