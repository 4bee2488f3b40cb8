"""What ends access tokens before they expire: rows that every process knows by heart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from sqlalchemy import delete, event, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from ...core.settings_auth import ACCESS_TOKEN_MOST_S
from ...core.types import utc_now
from ...store.engine import Database
from ...store.models import RevocationRow
from ...store.models.base import table_of
from .pokes import open_pokes

log = structlog.get_logger(__name__)

KEPT: Final = timedelta(seconds=ACCESS_TOKEN_MOST_S + 60)
"""As long as a token can live, and the clocks of two machines can be apart."""
OVERLAP: Final = timedelta(seconds=20)
"""How far a look goes back: a transaction may commit after a later one was seen, by another clock."""
WHOLE_EVERY: Final = 30
"""Of so many looks one goes all the way back: nothing stays unseen because of a clock."""
POLL_S: Final = 1.0
LEAST_S: Final = 0.05
"""However much others revoke, nobody looks more often."""
TRIM_EVERY_S: Final = 60.0
_FINAL: Final = (("fid", "family"), ("sid", "session"), ("jti", "jti"))
"""What never comes back to life, whatever the time of the token says."""
_LASTING: Final = (("sub", "user"), ("client_id", "client"))
"""What gets new tokens, which are good."""
_WAITING: Final = "codelab_revocations"

_ROWS: Final = table_of(RevocationRow)


class SqlRevocations:
    """The `Revocations` of a database. What is revoked here is known here when its transaction commits.

    Args:
        database: Where the rows are.
        now: The time of day.
    """

    def __init__(self, database: Database, *, now: Callable[[], datetime] = utc_now) -> None:
        self._database = database
        self._now = now
        self._insert: Any = (sqlite if database.is_sqlite else postgresql).insert
        self._dead: dict[str, tuple[float, float]] = {}
        self._seen: datetime | None = None
        self._looks = 0
        self._told: list[Callable[[], None]] = []

    def on_revoked(self, callback: Callable[[], None]) -> None:
        """Be told after each transaction of this process that revoked something."""
        self._told.append(callback)

    def revoke(self, session: Session, subjects: Collection[str]) -> None:
        """See `Revocations`."""
        if not subjects:
            return
        now = self._now()
        rows = [
            {"subject": name, "revoked_at": now, "expires_at": now + KEPT, "owner_id": "", "tenant_id": "default"}
            for name in sorted(set(subjects))  # two transactions lock rows in one order
        ]
        insert = self._insert(_ROWS)
        later = {name: insert.excluded[name] for name in ("revoked_at", "expires_at")}
        session.execute(insert.on_conflict_do_update(index_elements=["subject"], set_=later), rows)
        if _WAITING not in session.info:
            session.info[_WAITING] = {}
            event.listen(session, "after_commit", self._committed)
            event.listen(session, "after_rollback", _rolled_back)
        session.info[_WAITING].update({row["subject"]: now for row in rows})

    def is_revoked(self, claims: Mapping[str, Any]) -> bool:
        """See `Revocations`.

        The second of a revocation belongs to it: `iat` has no fractions, and a token too few is asked for again.
        """
        dead = self._dead
        if not dead:
            return False
        if any(f"{kind}:{claims.get(claim)}" in dead for claim, kind in _FINAL):
            return True
        found = (dead.get(f"{kind}:{claims.get(claim)}") for claim, kind in _LASTING)
        return any(entry is not None and claims["iat"] <= entry[0] for entry in found)

    async def refresh(self) -> None:
        """Learn what other processes revoked since the last look, and forget what no token can be older than."""
        now, whole = self._now(), self._seen is None or self._looks % WHOLE_EVERY == 0
        query = select(_ROWS.c.subject, _ROWS.c.revoked_at, _ROWS.c.expires_at).where(_ROWS.c.expires_at > now)
        if self._seen is not None and not whole:
            query = query.where(_ROWS.c.revoked_at > self._seen - OVERLAP)
        async with self._database.read() as session:
            rows = (await session.execute(query)).all()
        for row in rows:
            self._learn(row.subject, row.revoked_at, row.expires_at)
        self._looks += 1
        # Never beyond our own clock: one that is ahead must not hide what comes after it.
        seen = [min(row.revoked_at, now) for row in rows]
        self._seen = max([*seen, self._seen or now - OVERLAP])
        if whole:
            self._dead = {name: entry for name, entry in self._dead.items() if entry[1] > now.timestamp()}

    async def trim(self) -> None:
        """Delete the rows that no living token can be dead by."""
        async with self._database.transaction() as session:
            await session.execute(delete(_ROWS).where(_ROWS.c.expires_at <= self._now()))

    def _learn(self, subject: str, at: datetime, expires: datetime) -> None:
        known = self._dead.get(subject, (0.0, 0.0))
        self._dead[subject] = (max(known[0], at.timestamp()), max(known[1], expires.timestamp()))

    def _committed(self, session: Session) -> None:
        if session.in_nested_transaction():  # a savepoint's end: the transaction may still be rolled back
            return
        waiting, session.info[_WAITING] = session.info[_WAITING], {}
        for subject, at in waiting.items():
            self._learn(subject, at, at + KEPT)
        if waiting:
            for callback in self._told:
                callback()


def _rolled_back(session: Session) -> None:
    if not session.in_nested_transaction():  # what was revoked before a savepoint still stands
        session.info[_WAITING] = {}


@asynccontextmanager
async def open_revocations(database: Database, redis_url: str | None = None) -> AsyncIterator[SqlRevocations]:
    """Open the revocations of a database: all that stand are known, and others' are learnt within `POLL_S`.

    Args:
        database: Where the rows are.
        redis_url: Others are told at once over this Redis; one that is down is no obstacle.

    Raises:
        ConfigError: The URL is none.
    """
    revocations = SqlRevocations(database)
    await revocations.refresh()
    async with open_pokes(redis_url, "revocations") as pokes:
        revocations.on_revoked(pokes.tell)
        loops = [
            asyncio.create_task(_keep_fresh(revocations, pokes.told)),
            asyncio.create_task(_keep_short(revocations)),
        ]
        try:
            yield revocations
        finally:
            for loop in loops:
                loop.cancel()
            await asyncio.wait(loops)


async def _keep_fresh(revocations: SqlRevocations, told: asyncio.Event) -> None:
    failing = False
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await told.wait()
        told.clear()
        try:
            await revocations.refresh()
            failing = False
            await asyncio.sleep(LEAST_S)
        except (SQLAlchemyError, OSError) as exc:
            if not failing:
                log.warning("revocations_not_read", error=type(exc).__name__)
            failing = True
            await asyncio.sleep(POLL_S)


async def _keep_short(revocations: SqlRevocations) -> None:
    while True:
        await asyncio.sleep(TRIM_EVERY_S)
        try:
            await revocations.trim()
        except (SQLAlchemyError, OSError) as exc:
            log.warning("revocations_not_trimmed", error=type(exc).__name__)
