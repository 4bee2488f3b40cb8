"""API keys: made, shown once, checked quickly, revoked at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ...core import permissions
from ...core.errors import Conflict, Forbidden, InvalidInput, Unavailable
from ...core.types import Principal, new_id, utc_now
from ...store.engine import Database
from ...store.models import ApiKeyRow
from .known import Known
from .repository import all_keys, by_digest, count_living, get_key, note_used
from .schemas import ApiKey, KeyOptions, KnownKey, NewApiKey
from .secret import Secret, digest_of, is_key, new_secret

log = structlog.get_logger(__name__)

MOST_KEYS: Final = 200
"""Living keys of one person."""
NOTED_EVERY_S: Final = 60.0


class ApiKeys:
    """The keys of everybody, and the door's memory of those that were seen lately.

    Args:
        database: Where the rows are.
        clock: Seconds, monotonic.
        now: The time of day.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._now = now
        self._known = Known(clock)
        self._used: dict[str, datetime] = {}

    async def create(self, principal: Principal, options: KeyOptions) -> NewApiKey:
        """Make a key for its owner; the secret is told this once.

        Raises:
            InvalidInput: There is no such scope.
            Forbidden: The owner does not hold one of the scopes.
            Conflict: The owner has too many keys.
        """
        _check_scopes(options.scopes, principal)
        secret, created = new_secret(), self._now()
        days = options.expires_in_days
        row = ApiKeyRow(
            id=new_id(),
            prefix=secret.prefix,
            digest=secret.digest,
            created_at=created,
            expires_at=None if days is None else created + timedelta(days=days),
            owner_id=principal.user_id,
            tenant_id=principal.tenant_id,
            **options.model_dump(exclude={"expires_in_days"}),
        )
        async with self._database.transaction() as session:
            if await count_living(session, principal) >= MOST_KEYS:
                raise Conflict(f"You have {MOST_KEYS} API keys: revoke one first.", code="too_many_keys")
            session.add(row)
        return _shown(row, secret)

    async def list(self, principal: Principal) -> list[ApiKey]:
        """List the principal's keys, oldest first."""
        async with self._database.read() as session:
            return [ApiKey.model_validate(row) for row in await all_keys(session, principal)]

    async def revoke(self, principal: Principal, key_id: str) -> ApiKey:
        """End a key: here at once, in other processes within `known.FRESH_S` seconds. Again is no error."""
        async with self._database.transaction() as session:
            row = await get_key(session, principal, key_id)
            row.revoked_at = row.revoked_at or self._now()
        self._known.forget(row.digest)
        return ApiKey.model_validate(row)

    async def rotate(self, principal: Principal, key_id: str) -> NewApiKey:
        """Give a key another secret; the old one is dead as after `revoke`.

        Raises:
            Conflict: The key was revoked.
        """
        secret = new_secret()
        async with self._database.transaction() as session:
            row = await get_key(session, principal, key_id)
            if row.revoked_at is not None:
                raise Conflict("This key was revoked: make a new one.", code="key_revoked")
            old, row.digest, row.prefix = row.digest, secret.digest, secret.prefix
        self._known.forget(old)
        return _shown(row, secret)

    def seen(self, token: str) -> KnownKey | None:
        """Return a key that was checked a moment ago, without waiting; None says nothing."""
        if not is_key(token):
            return None
        key = self._known.get(digest_of(token))
        return key if key is not None and self._lives(key) else None

    async def verify(self, token: str) -> KnownKey | None:
        """Return the key that this is the secret of; None if there is none, or it is over.

        Raises:
            Unavailable: The database cannot tell.
        """
        if not is_key(token):
            return None
        digest, forgotten = digest_of(token), self._known.forgotten
        try:
            async with self._database.read() as session:
                row = await by_digest(session, digest)
        except SQLAlchemyError as exc:
            raise Unavailable("API keys cannot be checked just now; try again.") from exc
        if row is None:
            self._known.forget(digest)
            return None
        key = self._known.remember(row, forgotten=forgotten)
        return key if self._lives(key) else None

    def _lives(self, key: KnownKey) -> bool:
        now = self._now()
        if key.expires_at is not None and key.expires_at <= now.timestamp():
            return False
        self._used[key.id] = now
        return True

    async def note(self) -> None:
        """Write down which keys were used since the last time; nobody waits for it."""
        used, self._used = self._used, {}
        if not used:
            return
        try:
            async with self._database.transaction() as session:
                await note_used(session, used)
        except SQLAlchemyError as exc:
            log.warning("key_use_not_noted", error=type(exc).__name__, keys=len(used))


@asynccontextmanager
async def open_api_keys(database: Database) -> AsyncIterator[ApiKeys]:
    """Open the keys of a database; their use is noted now and then, and at the end."""
    keys = ApiKeys(database)

    async def forever() -> None:
        while True:
            await asyncio.sleep(NOTED_EVERY_S)
            await keys.note()

    noting = asyncio.create_task(forever())
    try:
        yield keys
    finally:
        noting.cancel()
        await asyncio.wait([noting])
        await keys.note()


def _check_scopes(scopes: list[str], principal: Principal) -> None:
    unknown = set(scopes) - permissions.GRANTABLE
    if unknown:
        raise InvalidInput(f"There is no permission {min(unknown)!r}.", code="unknown_scope")
    missing = set(scopes) - principal.scopes
    if missing:
        raise Forbidden(f"You do not hold the permission {min(missing)}: a key cannot either.")


def _shown(row: ApiKeyRow, secret: Secret) -> NewApiKey:
    return NewApiKey(**ApiKey.model_validate(row).model_dump(), key=secret.token)
