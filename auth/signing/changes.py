"""Changes of keys in the database, each a transaction that no other process takes part in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from joserfc.jwk import RSAKey
from sqlalchemy.ext.asyncio import AsyncSession

from ...store.models import SigningKeyRow
from ..seams import AuditEntry, AuditTrail
from ..verify.jose import ALG, public_jwk
from .repository import living, lock
from .schedule import due
from .schemas import KeyState, SigningKey
from .sealing import Seal

_BITS: Final = 2048


@dataclass(frozen=True, slots=True)
class Draft:
    """A new key that is in nobody's database yet."""

    kid: str
    public: dict[str, Any]
    sealed: str


async def draft_key(seal: Seal) -> Draft:
    """Make a key, off the event loop: it takes a tenth of a second."""
    return await asyncio.to_thread(_draft, seal)


def _draft(seal: Seal) -> Draft:
    jwk = RSAKey.generate_key(_BITS, auto_kid=True).as_dict(private=True)
    return Draft(str(jwk["kid"]), public_jwk(jwk), seal.seal(jwk))


class Change:
    """The keys in one transaction.

    Args:
        session: The transaction.
        audit: Is told of every change.
        by: Who changes them; empty: the schedule.
        now: The time of day.
    """

    def __init__(self, session: AsyncSession, *, audit: AuditTrail, by: str, now: datetime) -> None:
        self._session = session
        self._audit = audit
        self._by = by
        self._now = now

    async def by_schedule(self, seal: Seal, draft: Draft | None, lifetime: timedelta) -> None:
        """Do what is due. A key that our seal does not open is not promoted: nobody here could sign with it."""
        rows = {row.kid: row for row in await self._locked()}
        todo = due([SigningKey.model_validate(row) for row in rows.values()], self._now, lifetime)
        for kid in todo.retire:
            await self._move(rows[kid], KeyState.RETIRED)
        if todo.promote is not None:
            seal.open(rows[todo.promote].sealed or "")
            await self._promote(rows[todo.promote], rows.values())
        if todo.begin and draft is not None:
            await self._add(draft, is_first=not _active(rows.values()))

    async def begin(self, seal: Seal, draft: Draft) -> SigningKeyRow:
        """Add a pending key, or an active one if there is none; one that is pending already is enough."""
        rows = await self._locked()
        active = _active(rows)
        for row in active:
            seal.open(row.sealed or "")  # a seal that others do not have would make a key that they cannot use
        pending = [row for row in rows if row.state == KeyState.PENDING]
        return pending[-1] if pending and active else await self._add(draft, is_first=not active)

    async def begin_anew(self, draft: Draft) -> SigningKeyRow:
        """Retire every key, and add one that signs at once."""
        for row in await self._locked():
            await self._move(row, KeyState.RETIRED)
        return await self._add(draft, is_first=True)

    async def _locked(self) -> Sequence[SigningKeyRow]:
        await lock(self._session)
        return await living(self._session)

    async def _promote(self, heir: SigningKeyRow, rows: Iterable[SigningKeyRow]) -> None:
        for row in _active(rows):
            await self._move(row, KeyState.RETIRING)
        await self._move(heir, KeyState.ACTIVE)

    async def _move(self, row: SigningKeyRow, state: KeyState) -> None:
        row.state = state.value
        match state:
            case KeyState.ACTIVE:
                row.activated_at = self._now
            case KeyState.RETIRING:
                row.retiring_at = self._now
            case KeyState.RETIRED:
                row.retired_at, row.sealed = self._now, None
        await self._session.flush()  # in this order: never are there two active keys
        await self._note(row)

    async def _add(self, draft: Draft, *, is_first: bool) -> SigningKeyRow:
        row = SigningKeyRow(
            kid=draft.kid,
            alg=ALG,
            state=(KeyState.ACTIVE if is_first else KeyState.PENDING).value,
            public=draft.public,
            sealed=draft.sealed,
            created_at=self._now,
            activated_at=self._now if is_first else None,
            owner_id=self._by,
            tenant_id="default",
        )
        self._session.add(row)
        await self._session.flush()
        await self._note(row)
        return row

    async def _note(self, row: SigningKeyRow) -> None:
        entry = AuditEntry(
            type="auth.key_changed", actor=self._by, subject=f"key:{row.kid}", details={"state": row.state}
        )
        await self._session.run_sync(lambda session: self._audit.note(session, entry))


def _active(rows: Iterable[SigningKeyRow]) -> list[SigningKeyRow]:
    return [row for row in rows if row.state == KeyState.ACTIVE]
