"""Rows of workspaces."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import NotFound
from ...core.types import Principal
from ...store.models import WorkspaceRow
from ..scope import mine


async def get_workspace(session: AsyncSession, principal: Principal, workspace_id: str) -> WorkspaceRow:
    """Fetch one; `NotFound` when there is none of this principal's."""
    query = select(WorkspaceRow).where(WorkspaceRow.id == workspace_id, mine(WorkspaceRow, principal))
    row = (await session.scalars(query)).one_or_none()
    if row is None:
        raise NotFound("There is no such workspace; register the folder first")
    return row


async def by_path(session: AsyncSession, principal: Principal, path: str) -> WorkspaceRow | None:
    """Fetch the one at a real path."""
    query = select(WorkspaceRow).where(WorkspaceRow.path == path, mine(WorkspaceRow, principal))
    return (await session.scalars(query)).one_or_none()


async def all_workspaces(session: AsyncSession, principal: Principal) -> Sequence[WorkspaceRow]:
    """Fetch all, oldest first."""
    query = select(WorkspaceRow).where(mine(WorkspaceRow, principal)).order_by(WorkspaceRow.created_at, WorkspaceRow.id)
    return (await session.scalars(query)).all()
