"""Browser sessions: begun at sign-in, checked quickly, over when idle, old, or when their person says so."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from ...core.errors import Unauthenticated, Unavailable
from ...core.settings_auth import AuthSettings
from ...core.types import Principal, new_id, utc_now
from ...store.engine import Database
from ...store.models import SessionRow, UserRow
from ..seams import AuditEntry, AuditTrail, Origin, Proof, Revocations
from .known import Known
from .repository import all_living, by_digest, drop_old, end, end_families, get_session, get_user, living, note_seen
from .schemas import BrowserSession, KnownSession
from .secret import digest_of, is_token, new_token

log = structlog.get_logger(__name__)

NOTED_EVERY_S: Final = 60.0
MOST_SEEN: Final = 20_000
LONGEST_AGENT: Final = 200
KEPT: Final = timedelta(days=1)
"""Sessions that are over are deleted after this long."""
_TRIMMED_AT_ONCE: Final = 1000


class Sessions:
    """The sessions of everybody.

    Args:
        database: Where the rows are.
        settings: How long they last, and how many one person may have.
        revocations: Told when one is ended, for the tokens that came of it.
        audit: Where that is written down.
        clock: Seconds, monotonic.
        now: The time of day.
    """

    def __init__(
        self,
        *,
        database: Database,
        settings: AuthSettings,
        revocations: Revocations,
        audit: AuditTrail,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._settings = settings
        self._revocations = revocations
        self._audit = audit
        self._now = now
        self._known = Known(clock)
        self._seen: dict[str, datetime] = {}

    async def start(self, user: UserRow, proof: Proof, origin: Origin, *, previous: str | None = None) -> str:
        """Begin a session and return the cookie's value. The browser's previous one is over.

        Args:
            user: Who signed in, as the row was when they proved it.
            proof: How they did.
            origin: From where.
            previous: The value of the session cookie that the browser sent, if any.

        Raises:
            Unauthenticated: Meanwhile the person was disabled, or has another password.
        """
        token, now = new_token(), self._now()
        row = self._row(user, proof, origin, now)
        row.digest = digest_of(token)
        async with self._database.transaction() as session:
            current = await get_user(session, user.id)
            if current is None or not current.is_active or current.password_changed_at != user.password_changed_at:
                raise Unauthenticated("Sign in again.")
            current.last_sign_in_at = now
            over = [*await session.run_sync(self._end_previous, previous), *await self._make_room(session, user.id)]
            session.add(row)
            await session.run_sync(self._audit.note, _entry("auth.signed_in", row, origin, {"amr": list(proof.amr)}))
        self.forget(over)
        return token

    async def verify(self, token: str) -> KnownSession | None:
        """Return the session of a cookie's value; None if there is none, or it is over.

        Raises:
            Unavailable: The database cannot tell.
        """
        if not is_token(token):
            return None
        digest = digest_of(token)
        session = self._known.get(digest) or await self._look(digest)
        if session is None or session.expires_at <= self._now():
            return None
        if session.id in self._seen or len(self._seen) < MOST_SEEN:
            self._seen[session.id] = self._now()
        return session

    async def list(self, principal: Principal) -> list[BrowserSession]:
        """List the principal's living sessions, newest first."""
        async with self._database.read() as session:
            rows = await all_living(session, principal.user_id, self._now())
        shown = [BrowserSession.model_validate(row) for row in rows if not self._is_idle(row)]
        return [found.model_copy(update={"current": found.id == principal.session_id}) for found in shown]

    async def revoke(self, principal: Principal, session_id: str, origin: Origin | None = None) -> None:
        """End one of the principal's sessions: here at once, elsewhere within two seconds. Again is no error."""
        async with self._database.transaction() as session:
            row = await get_session(session, principal, session_id)
            if row.revoked_at is not None:
                return
            over = await session.run_sync(end, SessionRow.id == row.id, self._now())
            await session.run_sync(self._tell, over, _entry("auth.signed_out", row, origin or Origin()))
        self.forget([digest for _, digest in over])

    async def revoke_others(self, principal: Principal, origin: Origin | None = None) -> int:
        """End all of the principal's sessions but the one that asks; how many there were."""
        async with self._database.transaction() as session:
            over = await session.run_sync(
                self.end_all, principal.user_id, but=principal.session_id, origin=origin or Origin()
            )
        self.forget(over)
        return len(over)

    async def sign_out(self, token: str, origin: Origin) -> None:
        """End the session of a cookie's value, if it has one."""
        session = await self.verify(token)
        if session is not None:
            await self.revoke(Principal(session.user_id, session.tenant_id), session.id, origin)

    def end_all(
        self, session: Session, user_id: str, *, but: str | None = None, origin: Origin | None = None
    ) -> Sequence[str]:
        """End a person's sessions in a transaction; when it has committed, `forget` what this returns."""
        wanted = living(user_id, self._now())
        over = end(session, wanted if but is None else wanted & (SessionRow.id != but), self._now())
        details = {"sessions": len(over)}
        user = session.get(UserRow, user_id)
        tenant = "default" if user is None else user.tenant_id
        entry = AuditEntry(
            type="auth.signed_out",
            tenant_id=tenant,
            actor=user_id,
            subject=f"user:{user_id}",
            origin=origin or Origin(),
            details=details,
        )
        if over:
            self._tell(session, over, entry)
        return [digest for _, digest in over]

    def forget(self, digests: Sequence[str]) -> None:
        """Let ended sessions go in this process at once."""
        if digests:
            self._known.forget(*digests)

    async def note(self) -> None:
        """Write down which sessions were used since the last time; nobody waits for it."""
        seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            async with self._database.transaction() as session:
                await note_seen(session, seen)
        except SQLAlchemyError as exc:
            log.warning("session_use_not_noted", error=type(exc).__name__, sessions=len(seen))

    async def trim(self) -> int:
        """Delete what has been over for a while, some at a time; how many there were."""
        over, gone = self._now() - KEPT, 0
        while True:
            async with self._database.transaction() as session:
                some = await drop_old(session, over=over, unseen=over - self._idle, most=_TRIMMED_AT_ONCE)
            gone += some
            if some < _TRIMMED_AT_ONCE:
                return gone

    @property
    def _idle(self) -> timedelta:
        return timedelta(hours=self._settings.session_idle_hours)

    def _is_idle(self, row: SessionRow) -> bool:
        seen = max(row.last_seen_at, self._seen.get(row.id, row.last_seen_at))
        return seen + self._idle <= self._now()

    async def _look(self, digest: str) -> KnownSession | None:
        forgotten = self._known.forgotten
        try:
            async with self._database.read() as session:
                row = await by_digest(session, digest)
        except SQLAlchemyError as exc:
            raise Unavailable("Sessions cannot be checked just now; try again.") from exc
        if row is None or self._is_idle(row):
            return None
        known = KnownSession(
            id=row.id,
            user_id=row.user_id,
            tenant_id=row.tenant_id,
            proof=Proof(amr=tuple(row.amr), acr=row.acr, auth_time=row.auth_time),
            created_at=row.created_at,
            expires_at=row.expires_at,
        )
        self._known.remember(digest, known, forgotten=forgotten)
        return known

    def _row(self, user: UserRow, proof: Proof, origin: Origin, now: datetime) -> SessionRow:
        return SessionRow(
            id=new_id(),
            user_id=user.id,
            owner_id=user.id,
            tenant_id=user.tenant_id,
            address=origin.address,
            user_agent=origin.user_agent[:LONGEST_AGENT],
            amr=list(proof.amr),
            acr=proof.acr,
            auth_time=proof.auth_time,
            created_at=now,
            last_seen_at=now,
            expires_at=now + timedelta(days=self._settings.session_days),
        )

    def _end_previous(self, session: Session, previous: str | None) -> Sequence[str]:
        """Whoever else had that cookie is out, too. Tokens that came of it live on: it is the same browser."""
        if previous is None or not is_token(previous):
            return []
        return [digest for _, digest in end(session, SessionRow.digest == digest_of(previous), self._now())]

    async def _make_room(self, session: AsyncSession, user_id: str) -> Sequence[str]:
        """The oldest give way to the one that begins."""
        rows = await all_living(session, user_id, self._now())
        ids = [row.id for row in rows[self._settings.sessions_per_user - 1 :]]
        if not ids:
            return []
        over = await session.run_sync(end, SessionRow.id.in_(ids), self._now())
        await session.run_sync(self._end_tokens, over)
        return [digest for _, digest in over]

    def _tell(self, session: Session, over: Sequence[tuple[str, str]], entry: AuditEntry) -> None:
        self._end_tokens(session, over)
        self._audit.note(session, entry)

    def _end_tokens(self, session: Session, over: Sequence[tuple[str, str]]) -> None:
        """What a session gave to clients ends with it: refresh tokens for good, access tokens at once."""
        ids = [key for key, _ in over]
        end_families(session, ids, self._now())
        self._revocations.revoke(session, [f"session:{key}" for key in ids])


@asynccontextmanager
async def noting(sessions: Sessions) -> AsyncIterator[None]:
    """Have the use of sessions written down now and then, and at the end."""

    async def forever() -> None:
        while True:
            await asyncio.sleep(NOTED_EVERY_S)
            await sessions.note()

    task = asyncio.create_task(forever())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await sessions.note()


def _entry(kind: str, row: SessionRow, origin: Origin, details: dict[str, object] | None = None) -> AuditEntry:
    return AuditEntry(
        type=kind,
        tenant_id=row.tenant_id,
        actor=row.user_id,
        subject=f"session:{row.id}",
        origin=origin,
        details=details or {},
    )
