"""What a person lets applications do: seen by themselves, and taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.orm import Session

from ...core.permissions import GRANTABLE, OPENID
from ...core.types import Principal, utc_now
from ...store.engine import Database
from ...store.models import AuthorizationCodeRow, ConsentRow, DeviceCodeRow, OAuthClientRow, TokenFamilyRow
from ..seams import AuditEntry, AuditTrail, Origin, Revocations

MOST: Final = 1000
"""Families of tokens that are looked through, the newest first."""


@dataclass(kw_only=True)
class AllowedClient:
    """An application that has access to somebody's account, or may have it again without asking.

    Attributes:
        scopes: All that it was allowed, in order.
        last_used_at: When its tokens were renewed last; None: it has none.
    """

    client_id: str
    client_name: str
    created_at: datetime
    last_used_at: datetime | None = None
    scopes: list[str] = field(default_factory=list)

    def add(self, scopes: Iterable[str], created_at: datetime, last_used_at: datetime | None = None) -> None:
        """Count one more yes in."""
        known = GRANTABLE | OPENID
        self.scopes = sorted({*self.scopes, *(scope for scope in scopes if scope in known)})
        self.created_at = min(self.created_at, created_at)
        used = [moment for moment in (self.last_used_at, last_used_at) if moment is not None]
        self.last_used_at = max(used, default=None)


class Access:
    """The applications of everybody; each person sees their own.

    Args:
        database: Where the rows are.
        revocations: What ends access tokens.
        audit: Where it is written down that access was taken back.
        now: The time of day.
    """

    def __init__(
        self,
        database: Database,
        *,
        revocations: Revocations,
        audit: AuditTrail,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._audit = audit
        self._now = now

    async def list(self, principal: Principal) -> Sequence[AllowedClient]:
        """List the principal's applications by name."""
        async with self._database.read() as session:
            found = await session.run_sync(lambda sync: self._list(sync, principal))
        return sorted(found, key=lambda client: (client.client_name.casefold(), client.client_id))

    async def revoke(self, principal: Principal, client_id: str, origin: Origin) -> None:
        """Take back all that an application was allowed: its tokens end, and it has to ask. Again is no error."""
        async with self._database.transaction() as session:
            await session.run_sync(lambda sync: self._revoke(sync, principal, client_id, origin))

    def _list(self, session: Session, principal: Principal) -> Sequence[AllowedClient]:
        clients: dict[str, AllowedClient] = {}
        consents = select(ConsentRow, OAuthClientRow.name).join(
            OAuthClientRow, OAuthClientRow.id == ConsentRow.client_id
        )
        for consent, name in session.execute(consents.where(ConsentRow.user_id == principal.user_id)):
            _of(clients, consent, name).add(consent.scopes, consent.created_at)
        families = select(TokenFamilyRow, OAuthClientRow.name).join(
            OAuthClientRow, OAuthClientRow.id == TokenFamilyRow.client_id
        )
        families = families.where(self._living(principal)).order_by(TokenFamilyRow.created_at.desc()).limit(MOST)
        for family, name in session.execute(families):
            _of(clients, family, name).add(family.scope.split(), family.created_at, family.last_used_at)
        return list(clients.values())

    def _revoke(self, session: Session, principal: Principal, client_id: str, origin: Origin) -> None:
        now, person = self._now(), principal.user_id
        consent = delete(ConsentRow).where(ConsentRow.user_id == person, ConsentRow.client_id == client_id)
        forgotten = list(session.scalars(consent.returning(ConsentRow.client_id)))
        living = update(TokenFamilyRow).where(self._living(principal), TokenFamilyRow.client_id == client_id)
        ended = living.values(revoked_at=now, reason="consent_revoked").returning(TokenFamilyRow.id)
        families = list(session.scalars(ended))
        for waiting in (AuthorizationCodeRow, DeviceCodeRow):
            session.execute(delete(waiting).where(waiting.user_id == person, waiting.client_id == client_id))
        if families:
            self._revocations.revoke(session, [f"family:{family}" for family in families])
        if forgotten or families:
            self._audit.note(session, _entry(principal, client_id, origin, len(families)))

    def _living(self, principal: Principal) -> ColumnElement[bool]:
        return and_(
            TokenFamilyRow.user_id == principal.user_id,
            TokenFamilyRow.revoked_at.is_(None),
            TokenFamilyRow.expires_at > self._now(),
        )


def _of(clients: dict[str, AllowedClient], row: ConsentRow | TokenFamilyRow, name: str) -> AllowedClient:
    first = AllowedClient(client_id=row.client_id, client_name=name, created_at=row.created_at)
    return clients.setdefault(row.client_id, first)


def _entry(principal: Principal, client_id: str, origin: Origin, families: int) -> AuditEntry:
    return AuditEntry(
        type="auth.consent_revoked",
        tenant_id=principal.tenant_id,
        actor=principal.user_id,
        client_id=client_id,
        subject=f"client:{client_id}",
        origin=origin,
        details={"families": families},
    )
