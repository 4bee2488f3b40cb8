"""Families: all tokens that go back to one yes of one person to one client live and die together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast

from sqlalchemy import CursorResult, bindparam, exists, insert, select, update
from sqlalchemy.orm import Session

from ...core.permissions import GRANTABLE
from ...core.types import new_id
from ...store.models import RefreshTokenRow, TokenFamilyRow, UserRow
from ...store.models.base import table_of
from ..seams import AuditEntry, Proof
from .client import Client
from .secrets import REFRESH, digest_of, new_secret
from .server import Server

# Made once: every refresh runs them, and to make one takes longer than to run it.
_TOKENS: Final = table_of(RefreshTokenRow)
_FAMILIES: Final = table_of(TokenFamilyRow)
_FIND: Final = (
    select(RefreshTokenRow, TokenFamilyRow)
    .join(TokenFamilyRow, TokenFamilyRow.id == RefreshTokenRow.family_id)
    .where(RefreshTokenRow.digest == bindparam("shown"))
)
_ADD: Final = insert(_TOKENS)
_TAKE: Final = (
    update(_TOKENS)
    .where(_TOKENS.c.digest == bindparam("shown"), _TOKENS.c.used_at.is_(None))
    .values(used_at=bindparam("at"))
)
_TOUCH: Final = (
    update(_FAMILIES)
    .where(_FAMILIES.c.id == bindparam("family"), _FAMILIES.c.revoked_at.is_(None))
    .values(last_used_at=bindparam("at"))
)


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """What a person has agreed to, and how they had proven who they are.

    Attributes:
        scope: Words with spaces between.
        resource: None: this service.
        since: When they agreed: whoever changes their password afterwards takes it back.
    """

    user_id: str
    tenant_id: str
    session_id: str | None
    scope: str
    resource: str | None
    proof: Proof
    since: datetime


def begin_family(
    server: Server, client: Client, agreement: Agreement, *, family_id: str | None = None
) -> TokenFamilyRow:
    """Begin the family of an agreement; with `offline_access` it outlives the browser session it was given in."""
    settings, proof = server.parts.settings, agreement.proof
    row = TokenFamilyRow(
        id=family_id or new_id(),
        client_id=client.id,
        user_id=agreement.user_id,
        owner_id=agreement.user_id,
        tenant_id=agreement.tenant_id,
        session_id=None if "offline_access" in agreement.scope.split() else agreement.session_id,
        scope=agreement.scope,
        resource=agreement.resource,
        amr=list(proof.amr),
        acr=proof.acr,
        auth_time=proof.auth_time,
        created_at=server.now,
        last_used_at=server.now,
        expires_at=server.now + timedelta(days=settings.refresh_days),
    )
    server.session.add(row)
    server.session.flush()  # its tokens refer to it
    server.parts.audit.note(server.session, _entry(server, row, "auth.token_issued", scope=row.scope))
    return row


def add_refresh(server: Server, family: TokenFamilyRow) -> str:
    """Give a family another refresh token; it lives no longer than the family does."""
    token, idle = new_secret(REFRESH), timedelta(days=server.parts.settings.refresh_idle_days)
    row = {
        "digest": digest_of(token),
        "family_id": family.id,
        "owner_id": family.owner_id,
        "tenant_id": family.tenant_id,
        "issued_at": server.now,
        "expires_at": min(server.now + idle, family.expires_at),
    }
    server.session.execute(_ADD, row)
    return token


def find_refresh(session: Session, token: str) -> tuple[RefreshTokenRow, TokenFamilyRow] | None:
    """Find a refresh token and its family, whatever state they are in."""
    found = session.execute(_FIND, {"shown": digest_of(token)}).one_or_none()
    return None if found is None else (found[0], found[1])


def take_refresh(server: Server, row: RefreshTokenRow) -> bool:
    """Use a refresh token up; False: somebody else did."""
    return changes(server.session, _TAKE, shown=row.digest, at=server.now)


def is_last_used(session: Session, row: RefreshTokenRow) -> bool:
    """Whether what came of a used refresh token has not been used itself."""
    later = RefreshTokenRow.issued_at >= row.used_at, RefreshTokenRow.digest != row.digest
    wanted = exists().where(RefreshTokenRow.family_id == row.family_id, *later, RefreshTokenRow.used_at.is_not(None))
    return not session.scalar(select(wanted))


def touch_family(server: Server, family: TokenFamilyRow) -> bool:
    """Note that a family is used; False: it was ended meanwhile."""
    return changes(server.session, _TOUCH, family=family.id, at=server.now)


def end_family(server: Server, family_id: str, reason: str) -> None:
    """End a family: its refresh tokens, and its access tokens before they expire. Again is no error."""
    living = TokenFamilyRow.id == family_id, TokenFamilyRow.revoked_at.is_(None)
    statement = update(TokenFamilyRow).where(*living).values(revoked_at=server.now, reason=reason)
    if not changes(server.session, statement):
        return
    server.parts.revocations.revoke(server.session, [f"family:{family_id}"])
    kind = "auth.token_reused" if reason == "reused" else "auth.token_revoked"
    row = server.session.get_one(TokenFamilyRow, family_id)
    server.parts.audit.note(server.session, _entry(server, row, kind, reason=reason))


def reason_to_end(server: Server, *, user_id: str, scope: str, since: datetime) -> str | None:
    """Say why an agreement does not stand any more; None if it does."""
    user = server.session.get(UserRow, user_id)
    if user is None or not user.is_active:
        return "user_disabled"
    if user.password_changed_at is not None and user.password_changed_at > since:
        return "password_changed"
    wanted = GRANTABLE.intersection(scope.split())
    return None if wanted <= server.parts.permissions.read(server.session, user_id) else "permission_lost"


def held_scope(server: Server, user_id: str, scope: str) -> str:
    """Leave out of a scope what a person may not do themselves; empty if nothing stays."""
    held = server.parts.permissions.read(server.session, user_id)
    return " ".join(word for word in scope.split() if word not in GRANTABLE or word in held)


def _entry(server: Server, family: TokenFamilyRow, kind: str, **details: str) -> AuditEntry:
    return AuditEntry(
        type=kind,
        outcome="denied" if kind == "auth.token_reused" else "ok",
        tenant_id=family.tenant_id,
        actor=family.user_id,
        client_id=family.client_id,
        subject=f"family:{family.id}",
        origin=server.origin,
        details=details,
    )


def changes(session: Session, statement: Any, **values: Any) -> bool:
    """Run an update of one row; whether it met it."""
    # What is in memory may be older than what the statement met: it is left as it was read.
    result = session.execute(statement, values, execution_options={"synchronize_session": False})
    return cast("CursorResult[Any]", result).rowcount == 1
