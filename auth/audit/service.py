"""The audit trail: facts are added and, years later, dropped; nothing changes one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy import ColumnElement, and_, delete, or_, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ...core.types import Principal, new_id, utc_now
from ...store.engine import Database
from ...store.models import AuditRow
from ...store.rows import insert_rows
from ..seams import AuditEntry
from .cleaning import clean_details, clean_value
from .schemas import AuditEvent

log = structlog.get_logger(__name__)

MOST_WAITING: Final = 2000
"""Facts that wait to be written; of more it is logged that they were lost."""
TOGETHER: Final = 100
WAIT_S: Final = 5.0
"""Seconds that somebody waits for their fact to be written; it is written all the same."""
TRIMMED_AT_ONCE: Final = 1000


class Audit:
    """The `AuditTrail` of a database, and what an administrator reads of it.

    Args:
        database: Where the rows are.
        now: The time of day.
    """

    def __init__(self, database: Database, *, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now
        self._waiting: deque[tuple[AuditRow, asyncio.Future[None]]] = deque()
        self._writing: asyncio.Task[None] | None = None

    def note(self, session: Session, entry: AuditEntry) -> None:
        """See `AuditTrail`."""
        session.add(self._row(entry))

    async def record(self, entry: AuditEntry) -> None:
        """See `AuditTrail`. Facts that come while others are written share the next transaction."""
        if len(self._waiting) >= MOST_WAITING:
            log.warning("audit_lost", type=clean_value(entry.type), reason="too many facts wait")
            return
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((self._row(entry), written))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_waiting())
        await asyncio.wait([written], timeout=WAIT_S)

    async def list(
        self,
        principal: Principal,
        *,
        type: str | None = None,  # noqa: A002 - the column's name
        since: datetime | None = None,
        limit: int = 50,
        cursor: tuple[datetime, str] | None = None,
    ) -> Sequence[AuditEvent]:
        """List facts of the principal's tenant, newest first.

        Args:
            principal: Who reads.
            type: Only of this type.
            since: Only from then on.
            limit: The most to return.
            cursor: Time and id of the last one that was seen: go on behind it.
        """
        wanted: list[ColumnElement[bool]] = [AuditRow.tenant_id == principal.tenant_id]
        if type is not None:
            wanted.append(AuditRow.type == type)
        if since is not None:
            wanted.append(AuditRow.at >= since)
        if cursor is not None:
            at, last = cursor
            wanted.append(or_(AuditRow.at < at, and_(AuditRow.at == at, AuditRow.id < last)))
        query = select(AuditRow).where(*wanted).order_by(AuditRow.at.desc(), AuditRow.id.desc()).limit(limit)
        async with self._database.read() as session:
            return [AuditEvent.model_validate(row) for row in await session.scalars(query)]

    async def trim(self, keep_days: int) -> int:
        """Drop facts of every tenant that are older, some at a time; how many there were."""
        before, dropped = self._now() - timedelta(days=keep_days), 0
        old = select(AuditRow.id).where(AuditRow.at < before).order_by(AuditRow.at).limit(TRIMMED_AT_ONCE)
        statement = delete(AuditRow).where(AuditRow.id.in_(old.scalar_subquery())).returning(AuditRow.id)
        while True:
            async with self._database.transaction() as session:
                gone = len((await session.scalars(statement)).all())
            dropped += gone
            if gone < TRIMMED_AT_ONCE:
                return dropped

    async def _write_waiting(self) -> None:
        while self._waiting:
            some = [self._waiting.popleft() for _ in range(min(TOGETHER, len(self._waiting)))]
            await self._write([row for row, _ in some])
            for _, written in some:
                if not written.done():
                    written.set_result(None)

    async def _write(self, rows: Sequence[AuditRow]) -> None:
        try:
            async with self._database.transaction() as session:
                await insert_rows(session, *rows)
        except (SQLAlchemyError, OSError) as exc:
            for row in rows:
                log.warning("audit_lost", error=type(exc).__name__, type=row.type, outcome=row.outcome)

    def _row(self, entry: AuditEntry) -> AuditRow:
        origin = entry.origin
        return AuditRow(
            id=new_id(),
            at=self._now(),
            type=clean_value(entry.type),
            outcome=clean_value(entry.outcome),
            owner_id=clean_value(entry.actor),
            tenant_id=clean_value(entry.tenant_id),
            client_id=_clean(entry.client_id),
            subject=_clean(entry.subject),
            address=_clean(origin.address),
            correlation_id=_clean(origin.correlation_id),
            details=clean_details(entry.details),
        )


def _clean(value: str | None) -> str | None:
    return clean_value(value) if value else None
