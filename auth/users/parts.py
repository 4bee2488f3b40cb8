"""What the services of accounts share."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, and_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from ...core.settings_auth import AuthSettings
from ...core.types import Principal
from ...store.engine import Database
from ...store.models import ApiKeyRow, TokenFamilyRow, UserRow
from ..seams import AuditEntry, AuditTrail, Origin, Revocations
from ..sessions.service import Sessions
from .hashing import Hasher
from .links import Links
from .lockout import Attempts
from .manager import Users
from .post import Post

NOWHERE: Final = Origin()
"""Of what a command does: no request came from anywhere."""


class RoleBook(Protocol):
    """What accounts need of roles; see `rbac.service.Roles`."""

    def give(self, session: Session, user_id: str, names: Collection[str], *, by: str) -> None:
        """Give somebody roles in a transaction, unasked."""
        ...

    def check_not_last_admin(self, session: Session, user_id: str) -> None:
        """Refuse, first in a transaction, to do without the last administrator."""
        ...

    async def check_may_grant(self, principal: Principal, names: Collection[str], *, origin: Origin) -> None:
        """Refuse roles that the principal could not give."""
        ...

    async def of_people(self, principal: Principal, user_ids: Collection[str]) -> Any:
        """Roles of people by their ids."""
        ...

    def forget(self, tenant_id: str) -> None:
        """Look anew at what a tenant's people may do."""
        ...


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The works behind accounts and invitations.

    Attributes:
        secret: The service's; keys of links follow from it.
    """

    database: Database
    settings: AuthSettings
    links: Links
    host: str
    secret: str
    hasher: Hasher
    post: Post
    sessions: Sessions
    attempts: Attempts
    revocations: Revocations
    audit: AuditTrail
    roles: RoleBook
    now: Callable[[], datetime]

    def users(self, session: AsyncSession) -> Users:
        """People, in a transaction."""
        return Users(session, secret=self.secret, now=self.now)

    def mail(self, user: UserRow | str, key: str, origin: Origin, **values: Any) -> None:
        """Begin to send somebody a mail, in the language of whoever asks."""
        to = user if isinstance(user, str) else user.email
        told = {"host": self.host, "login": self.links.login, "forgot": self.links.forgot}
        self.post.send(to, key, origin.lang, **told, **values)

    async def note(
        self, session: AsyncSession, user: UserRow, change: str, *, by: str | None = None, origin: Origin = NOWHERE
    ) -> None:
        """Write down in a transaction that an account was changed, and by whom if not by its person."""
        entry = AuditEntry(
            type="auth.user_changed",
            tenant_id=user.tenant_id,
            actor=user.id if by is None else by,
            subject=f"user:{user.id}",
            origin=origin,
            details={"change": change},
        )
        await session.run_sync(self.audit.note, entry)

    async def end_all(
        self, session: AsyncSession, user: UserRow, reason: str, *, but: str | None = None, origin: Origin = NOWHERE
    ) -> list[str]:
        """End all sessions (but one) and tokens of somebody, in a transaction; `sessions.forget` what it returns."""

        def work(sync: Session) -> list[str]:
            living = and_(TokenFamilyRow.user_id == user.id, TokenFamilyRow.revoked_at.is_(None))
            sync.execute(_end(living, self.now(), reason))
            self.revocations.revoke(sync, [f"user:{user.id}"])
            return list(self.sessions.end_all(sync, user.id, but=but, origin=origin))

        return await session.run_sync(work)

    async def end_keys(self, session: AsyncSession, user: UserRow) -> None:
        """End all API keys of somebody, in a transaction."""
        mine = and_(ApiKeyRow.owner_id == user.id, ApiKeyRow.tenant_id == user.tenant_id)
        living = and_(mine, ApiKeyRow.revoked_at.is_(None))
        await session.execute(update(ApiKeyRow).where(living).values(revoked_at=self.now()))


def host_of(issuer: str) -> str:
    """What people call the service."""
    return urlsplit(issuer).netloc


def _end(wanted: ColumnElement[bool], now: datetime, reason: str) -> Any:
    return update(TokenFamilyRow).where(wanted).values(revoked_at=now, reason=reason)
