"""What was used: totals and single requests, one's own or, for who runs the tenant, everybody's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ...core.types import Principal
from ...store.engine import Database
from .ledger import SqlLedger
from .repository import page_of_rows, totals_by, totals_of
from .schemas import GroupBy, LedgerEntry, UsageFilter, UsageReport

MOST_GROUPS = 1_000


class UsageService:
    """Reads the ledger; each principal its own rows, with `llm:admin` the tenant's.

    Args:
        ledger: Whose rows; what it has not written yet is not in the totals.
    """

    def __init__(self, ledger: SqlLedger) -> None:
        self._ledger = ledger
        self._database: Database = ledger.database

    async def report(self, principal: Principal, asked: UsageFilter, group_by: Sequence[GroupBy]) -> UsageReport:
        """Sum up; grouped by nothing it is the total alone."""
        async with self._database.read() as session:
            total = await totals_of(session, principal, asked)
            groups = await totals_by(session, principal, asked, group_by, MOST_GROUPS + 1) if group_by else []
        return UsageReport(
            total=total,
            groups=groups[:MOST_GROUPS],
            truncated=len(groups) > MOST_GROUPS,
            rows_waiting=self._ledger.waiting,
            rows_dropped=self._ledger.dropped,
        )

    async def requests(
        self, principal: Principal, asked: UsageFilter, *, limit: int, after: tuple[datetime, str] | None = None
    ) -> Sequence[LedgerEntry]:
        """Fetch single requests, newest first, from beyond `after` on, and one more than `limit` if there are."""
        async with self._database.read() as session:
            rows = await page_of_rows(session, principal, asked, limit=limit + 1, after=after)
        return [LedgerEntry.model_validate(row) for row in rows]
