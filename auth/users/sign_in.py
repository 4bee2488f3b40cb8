"""Signing in: steps that lead to a session. Today one step is enough; further factors have their place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from ...core.errors import InvalidInput, Unauthenticated, Unavailable
from ...core.types import utc_now
from ...store.engine import Database
from ...store.models import UserRow
from ..seams import BASIC_ACR, PASSWORD, AuditEntry, AuditTrail, Origin, Proof
from ..sessions.service import Sessions
from .addresses import normal_email
from .background import Background
from .hashing import Hasher
from .lockout import Attempts, Verdict
from .repository import find_by_email, improve_hash

Needs = Callable[[UserRow, tuple[str, ...]], str | None]
"""Names the next factor that somebody must show who has shown these; None: it is enough."""


class State(StrEnum):
    """Where a sign-in stands."""

    REFUSED = "refused"
    PENDING = "pending"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a sign-in has come to.

    Attributes:
        amr: What was shown so far.
        acr: What that is worth.
        session: The value of the session's cookie: there is one when it is done, and only then.
        needs: The factor that comes next while it is pending. Nothing can be called with a pending sign-in.
    """

    state: State
    amr: tuple[str, ...] = ()
    acr: str | None = None
    session: str | None = None
    needs: str | None = None


REFUSED = Step(state=State.REFUSED)
"""Unknown, wrong, locked, disabled, not confirmed: the same for each."""


def enough(_user: UserRow, _amr: tuple[str, ...]) -> str | None:
    """Ask for no further factor."""
    return None


class SignIn:
    """Lets people in by their password.

    Args:
        database: Where people are.
        hasher: Checks passwords: once for each try, whoever it is.
        attempts: Counts them.
        sessions: Begun for who is let in.
        audit: Where it is written down.
        needs: Which further factors there are.
        now: The time of day.
    """

    def __init__(
        self,
        *,
        database: Database,
        hasher: Hasher,
        attempts: Attempts,
        sessions: Sessions,
        audit: AuditTrail,
        needs: Needs = enough,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._hasher = hasher
        self._attempts = attempts
        self._sessions = sessions
        self._audit = audit
        self._needs = needs
        self._now = now
        self._background = Background()

    async def begin(self, email: str, password: str, origin: Origin, previous_session: str | None = None) -> Step:
        """Take the first step: an address and a password.

        Args:
            email: As it was typed.
            password: As it was typed.
            origin: Where from.
            previous_session: The session cookie that the browser sent; it is dead once the person is in.

        Raises:
            Unavailable: Too many sign in just now, or the database is gone.
        """
        user = await self._password(email, password, origin)
        return REFUSED if user is None else await self._advance(user, (PASSWORD,), origin, previous_session)

    async def check(self, email: str, password: str, origin: Origin) -> UserRow | None:
        """Return who an address and a password are of, for a grant that has no page; None for whoever is refused.

        Who must show more than a password is refused, too.
        """
        user = await self._password(email, password, origin)
        return None if user is None or self._needs(user, (PASSWORD,)) is not None else user

    async def settle(self) -> None:
        """Wait until every refusal is written down."""
        await self._background.settle()

    async def _advance(self, user: UserRow, amr: tuple[str, ...], origin: Origin, previous: str | None) -> Step:
        """Go on with what was shown: to the next factor, or in."""
        needs = self._needs(user, amr)
        if needs is not None:
            return Step(state=State.PENDING, amr=amr, needs=needs)
        proof = Proof(amr=amr, acr=BASIC_ACR, auth_time=self._now())
        try:
            token = await self._sessions.start(user, proof, origin, previous=previous)
        except Unauthenticated:  # disabled, or given another password, in the blink between
            return REFUSED
        return Step(state=State.DONE, amr=amr, acr=proof.acr, session=token)

    async def _password(self, email: str, password: str, origin: Origin) -> UserRow | None:
        """Who is let in. The try counts first; then every branch looks once and hashes once."""
        address = _normal(email)
        verdict = await self._attempts.take(email if address is None else address, origin.address)
        user = None if address is None else await self._find(address)
        known = user if verdict is Verdict.FREE else None
        fits, better = await self._hasher.verify(password, None if known is None else known.hashed_password)
        reason = _refusal(user, verdict, fits=fits)
        if reason is not None or user is None:
            self._background.start(self._refuse(user, verdict, str(reason), origin), "refused sign-in")
            return None
        await self._attempts.succeeded(user.email, origin.address)
        if better is not None:
            async with self._database.transaction() as session:
                await improve_hash(session, user, better)
        return user

    async def _find(self, address: str) -> UserRow | None:
        try:
            async with self._database.read() as session:
                return await find_by_email(session, address)
        except SQLAlchemyError as exc:
            raise Unavailable("Nobody can be let in just now; try again.") from exc

    async def _refuse(self, user: UserRow | None, verdict: Verdict, reason: str, origin: Origin) -> None:
        """Write down whom it was about, for those who may read that; a lock-out once, not each try after it."""
        if verdict is Verdict.STILL_LOCKED:
            return
        about: dict[str, Any] = {} if user is None else {"tenant_id": user.tenant_id, "subject": f"user:{user.id}"}
        locked = verdict is Verdict.LOCKED
        await self._audit.record(
            AuditEntry(
                type="auth.locked_out" if locked else "auth.sign_in_failed",
                outcome="denied" if locked else "failed",
                origin=origin,
                details={"reason": reason},
                **about,
            )
        )


def _normal(email: str) -> str | None:
    try:
        return normal_email(email)
    except InvalidInput:
        return None


def _refusal(user: UserRow | None, verdict: Verdict, *, fits: bool) -> str | None:
    """Why somebody is not let in; for the audit trail alone."""
    if verdict is not Verdict.FREE:
        return "locked"
    if user is None:
        return "unknown"
    if not fits:
        return "wrong"
    if not user.is_active:
        return "disabled"
    return None if user.is_verified else "not_confirmed"
