"""The audit trail of a tenant."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request

from ...auth.audit.schemas import AuditEvent, AuditFilter
from ...auth.audit.service import Audit
from ...core.types import Principal
from ...runtime.paging import Page, decode_cursor, encode_cursor
from .admin import admin_needs

router = APIRouter(prefix="/audit", tags=["audit"])
AuditReader = Annotated[Principal, admin_needs("audit:read")]


async def audit_of(request: Request) -> Audit:
    """The audit trail of the app that serves this request."""
    audit: Audit = request.app.state.identity.audit
    return audit


CurrentAudit = Annotated[Audit, Depends(audit_of)]


@router.get("")
async def list_audit(
    principal: AuditReader,
    audit: CurrentAudit,
    asked: Annotated[AuditFilter, Query()],
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page[AuditEvent]:
    """List what happened around sign-in, tokens, roles and clients, newest first."""
    after = None if cursor is None else decode_cursor(cursor)
    found = await audit.list(principal, type=asked.type, since=asked.since, limit=limit + 1, cursor=after)
    items = list(found[:limit])
    more = encode_cursor(items[-1].at, items[-1].id) if len(found) > limit else None
    return Page(items=items, next_cursor=more)
