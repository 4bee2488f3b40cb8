"""Rows of clients, and of the tokens that end with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from ...core.errors import Forbidden
from ...core.types import Principal
from ...store.models import DeviceCodeRow, OAuthClientRow, TokenFamilyRow
from ...store.models.base import table_of


async def get_client(session: AsyncSession, principal: Principal, client_id: str) -> OAuthClientRow:
    """Fetch one to change it; `Forbidden` when there is none in the principal's tenant."""
    query = select(OAuthClientRow).where(_of_tenant(principal, client_id)).with_for_update()
    return _found((await session.scalars(query)).one_or_none())


async def read_client(session: AsyncSession, principal: Principal, client_id: str) -> OAuthClientRow:
    """Fetch one to look at it; as `get_client`."""
    query = select(OAuthClientRow).where(_of_tenant(principal, client_id))
    return _found((await session.scalars(query)).one_or_none())


async def list_clients(
    session: AsyncSession, principal: Principal, *, limit: int, after: tuple[datetime, str] | None
) -> Sequence[OAuthClientRow]:
    """Fetch some of a tenant's, newest first, behind one that was seen."""
    query = select(OAuthClientRow).where(OAuthClientRow.tenant_id == principal.tenant_id)
    if after is not None:
        at, last = after
        older = and_(OAuthClientRow.created_at == at, OAuthClientRow.id < last)
        query = query.where(or_(OAuthClientRow.created_at < at, older))
    order = OAuthClientRow.created_at.desc(), OAuthClientRow.id.desc()
    return (await session.scalars(query.order_by(*order).limit(limit))).all()


async def count_clients(session: AsyncSession, tenant_id: str, *, dynamic: bool) -> int:
    """Count a tenant's: those that registered themselves, or the others."""
    wanted = OAuthClientRow.tenant_id == tenant_id, OAuthClientRow.dynamic == dynamic
    return (await session.execute(select(func.count()).select_from(OAuthClientRow).where(*wanted))).scalar_one()


async def put_clients(session: AsyncSession, rows: Sequence[dict[str, Any]], changing: Sequence[str]) -> None:
    """Insert rows; those that are there get the columns `changing` anew. Two processes may do it at once."""
    insert: Any = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(table_of(OAuthClientRow))
    changed = {name: statement.excluded[name] for name in changing}
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=changed), list(rows))


def end_families(session: Session, client_id: str, *, reason: str, now: datetime) -> None:
    """End all that people allowed a client, and what waits for somebody's yes."""
    living = TokenFamilyRow.client_id == client_id, TokenFamilyRow.revoked_at.is_(None)
    session.execute(update(TokenFamilyRow).where(*living).values(revoked_at=now, reason=reason))
    session.execute(delete(DeviceCodeRow).where(DeviceCodeRow.client_id == client_id))


def _of_tenant(principal: Principal, client_id: str) -> Any:
    return and_(OAuthClientRow.id == client_id, OAuthClientRow.tenant_id == principal.tenant_id)


def _found(row: OAuthClientRow | None) -> OAuthClientRow:
    if row is None:
        raise Forbidden("There is no such client in your tenant.")
    return row
