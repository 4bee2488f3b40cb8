"""Long outputs, kept whole (up to a cap) so that an agent can page through them."""

from __future__ import annotations

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from ..core.types import Principal, new_id, utc_now
from .engine import Database
from .models import ArtifactRow
from .texts import clean_text

TEXT_CAP = 2_000_000
THREAD_CAP = 40_000_000


class SqlArtifacts:
    """The artifacts of one principal's threads.

    Args:
        database: Where the texts are.
        principal: Whose they are.
        text_cap: Characters kept of one text.
        thread_cap: Characters kept in one thread; the oldest texts go first.
    """

    def __init__(
        self, database: Database, principal: Principal, *, text_cap: int = TEXT_CAP, thread_cap: int = THREAD_CAP
    ) -> None:
        self._database = database
        self._principal = principal
        self._text_cap = text_cap
        self._thread_cap = thread_cap

    async def put(self, thread_id: str, text: str) -> str:
        """Keep a text, cut at the cap; its id."""
        kept = clean_text(text[: self._text_cap])
        artifact_id = f"out_{new_id()}"
        row = {
            "id": artifact_id,
            "thread_id": thread_id,
            "text": kept,
            "size": len(text),
            "created_at": utc_now(),
            "owner_id": self._principal.user_id,
            "tenant_id": self._principal.tenant_id,
        }
        async with self._database.transaction() as session:
            await self._make_room(session, thread_id, len(kept))
            await session.execute(insert(ArtifactRow).values(**row))
        return artifact_id

    async def get(self, thread_id: str, artifact_id: str) -> str | None:
        """Fetch a text of the same thread and principal; None if there is none."""
        query = select(ArtifactRow.text).where(
            ArtifactRow.id == artifact_id,
            ArtifactRow.thread_id == thread_id,
            ArtifactRow.owner_id == self._principal.user_id,
            ArtifactRow.tenant_id == self._principal.tenant_id,
        )
        async with self._database.read() as session:
            return (await session.scalars(query)).one_or_none()

    async def _make_room(self, session: AsyncSession, thread_id: str, size: int) -> None:
        query = (
            select(ArtifactRow.id, func.length(ArtifactRow.text).label("size"))
            .where(ArtifactRow.thread_id == thread_id)
            .order_by(ArtifactRow.created_at.desc(), ArtifactRow.id.desc())
        )
        total, surplus = size, []
        for row in (await session.execute(query)).all():
            total += row.size
            if total > self._thread_cap:
                surplus.append(row.id)
        if surplus:
            await session.execute(delete(ArtifactRow).where(ArtifactRow.id.in_(surplus)))
