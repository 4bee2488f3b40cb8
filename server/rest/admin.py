"""What the routes of administration share: who is refused there is written down."""

from __future__ import annotations

from typing import Any

from fastapi import Depends, Request

from ...auth.seams import AuditEntry
from ...core.errors import Forbidden
from ...core.types import Principal
from ..deps import Scope
from ..origins import origin_of


class AdminScope(Scope):
    """As `Scope`; a refusal goes into the audit trail."""

    async def __call__(self, request: Request) -> Principal:
        """Return the principal; `Unauthenticated` or `Forbidden` otherwise."""
        try:
            return await super().__call__(request)
        except Forbidden as exc:
            await note_refusal(request, request.state.principal, request.url.path, exc)
            raise


def admin_needs(permission: str) -> Any:
    """Declare the permission of a route of administration, in its signature."""
    return Depends(AdminScope(permission))


async def note_refusal(request: Request, principal: Principal, subject: str, exc: Forbidden) -> None:
    """Write down who was refused what."""
    entry = AuditEntry(
        type="auth.refused",
        outcome="denied",
        tenant_id=principal.tenant_id,
        actor=principal.user_id,
        client_id=principal.client_id,
        subject=subject,
        origin=origin_of(request),
        details={"reason": exc.code, "method": request.method},
    )
    await request.app.state.identity.audit.record(entry)
