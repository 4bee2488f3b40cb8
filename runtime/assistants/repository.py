"""Rows of assistants and of their versions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, collate, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal
from ...store.containment import contains
from ...store.models import AssistantRow, AssistantVersionRow
from ..scope import mine, owned_by
from .schemas import AssistantFilter, AssistantSearch, VersionSearch

_SORTS: Final[dict[str, Any]] = {
    "assistant_id": AssistantRow.id,
    "graph_id": AssistantRow.graph_id,
    "name": AssistantRow.name,
    "created_at": AssistantRow.created_at,
    "updated_at": AssistantRow.updated_at,
}
_TIMES: Final = {"created_at", "updated_at"}


async def get_assistant(
    session: AsyncSession, principal: Principal, assistant_id: str, *, lock: bool = False
) -> AssistantRow:
    """Fetch one; `NotFound` when there is none of this principal's."""
    query = select(AssistantRow).where(AssistantRow.id == assistant_id, mine(AssistantRow, principal))
    row = (await session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound(f"Assistant with ID {assistant_id} not found")
    return row


def _meant(principal: Principal, wanted: AssistantFilter) -> Select[tuple[AssistantRow]]:
    query = select(AssistantRow).where(mine(AssistantRow, principal))
    if wanted.metadata:
        query = query.where(contains(AssistantRow.meta, wanted.metadata))
    if wanted.graph_id is not None:
        query = query.where(AssistantRow.graph_id == wanted.graph_id)
    if wanted.name:
        query = query.where(AssistantRow.name.icontains(wanted.name, autoescape=True))
    return query


async def page_of_assistants(
    session: AsyncSession, principal: Principal, asked: AssistantSearch, *, offset: int, limit: int
) -> Sequence[AssistantRow]:
    """Fetch a page of the principal's own, sorted as Python sorts: by code points, then by id."""
    plain = session.get_bind().dialect.name == "postgresql"
    columns = [_SORTS[asked.sort_by], AssistantRow.id]
    sorts = [column if not plain or asked.sort_by in _TIMES else collate(column, "C") for column in columns]
    order = [column.asc() if asked.sort_order == "asc" else column.desc() for column in sorts]
    return (await session.scalars(_meant(principal, asked).order_by(*order).offset(offset).limit(limit))).all()


async def count_assistants(session: AsyncSession, principal: Principal, wanted: AssistantFilter) -> int:
    """Count the principal's own."""
    query = _meant(principal, wanted).with_only_columns(func.count())
    return int((await session.scalars(query)).one())


async def page_of_versions(
    session: AsyncSession, assistant_id: str, asked: VersionSearch
) -> Sequence[AssistantVersionRow]:
    """Fetch a page of an assistant's versions, newest first."""
    query = select(AssistantVersionRow).where(AssistantVersionRow.assistant_id == assistant_id)
    if asked.metadata:
        query = query.where(contains(AssistantVersionRow.meta, asked.metadata))
    query = query.order_by(AssistantVersionRow.version.desc()).offset(asked.offset).limit(asked.limit)
    return (await session.scalars(query)).all()


async def newest_version(session: AsyncSession, assistant_id: str) -> int:
    """The highest number given so far; the one in force may be an older one."""
    query = select(func.max(AssistantVersionRow.version)).where(AssistantVersionRow.assistant_id == assistant_id)
    return int((await session.scalars(query)).one() or 0)


async def get_version(session: AsyncSession, assistant_id: str, version: int) -> AssistantVersionRow:
    """Fetch one version; `NotFound` when there is none."""
    row = await session.get(AssistantVersionRow, (assistant_id, version))
    if row is None:
        raise NotFound(f"Version {version} not found for assistant {assistant_id}")
    return row


def version_of(row: AssistantRow, at: datetime) -> AssistantVersionRow:
    """Make the row that keeps what an assistant is now."""
    owner = owned_by(Principal(user_id=row.owner_id, tenant_id=row.tenant_id))
    return AssistantVersionRow(assistant_id=row.id, version=row.version, created_at=at, **_facts(row), **owner)


def restore(row: AssistantRow, version: AssistantVersionRow) -> None:
    """Make an assistant what it was."""
    row.version = version.version
    for name, value in _facts(version).items():
        setattr(row, name, value)


def _facts(row: AssistantRow | AssistantVersionRow) -> dict[str, Any]:
    return {
        "graph_id": row.graph_id,
        "name": row.name,
        "description": row.description,
        "config": row.config,
        "context": row.context,
        "meta": row.meta,
    }
