"""The ring of keys: signs with one, shows those that may be met, and turns by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import ConfigError, Unavailable
from ...core.settings_auth import AuthSettings
from ...core.types import utc_now
from ...store.engine import Database
from ...store.models import SigningKeyRow
from ..seams import AuditTrail
from ..verify.jose import ALG, REGISTRY, public_jwk, public_key
from ..verify.looking import Looking
from .changes import Change, draft_key
from .repository import all_keys, living
from .schedule import LOOK_S, due
from .schemas import KeyState, SigningKey
from .sealing import Seal

log = structlog.get_logger(__name__)

PAUSE_S: Final = 1.0
"""Seconds between two looks because of keys that are not known."""


class KeyRing:
    """The `Signer` and the `KeySource` of the process that issues tokens. Any number of processes share the keys.

    Args:
        database: Where the rows are.
        seal: Opens private keys.
        settings: How long a key signs.
        audit: Is told of every change.
        now: The time of day.
    """

    def __init__(
        self,
        database: Database,
        *,
        seal: Seal,
        settings: AuthSettings,
        audit: AuditTrail,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._seal = seal
        self._audit = audit
        self._now = now
        self._lifetime = timedelta(days=settings.key_days)
        self._rows: Sequence[SigningKey] = ()
        self._public: dict[str, RSAKey] = {}
        self._private: RSAKey | None = None
        self._reading = asyncio.Lock()
        self._looking = Looking(self._look, pause_s=PAUSE_S, clock=lambda: now().timestamp())

    async def load(self) -> None:
        """Read the keys; make the first one if there is none.

        Raises:
            ConfigError: The active key cannot be opened.
        """
        await self.tend()

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """See `Signer`.

        Raises:
            Unavailable: No key may sign.
        """
        key = self._private
        if key is None:
            raise Unavailable("There is no key to sign tokens with; try again.")
        # One key, and its id spelled out: of a set the library takes any, and it names none by itself.
        return jwt.encode({"alg": ALG, "kid": key.kid, "typ": typ}, dict(claims), key, registry=REGISTRY)

    async def find(self, kid: str) -> RSAKey | None:
        """See `KeySource`. A key that is not known is looked for, but not for every token.

        Raises:
            Unavailable: The database cannot tell.
        """
        if kid not in self._public:
            await self._looking.again()
        return self._public.get(kid)

    def jwks(self) -> dict[str, Any]:
        """Make the JWKS of all keys that a living token is signed with, or will be: the active one first."""
        first = None if self._private is None else self._private.kid
        keys = sorted(self._public.values(), key=lambda key: key.kid != first)
        return {"keys": [public_jwk(key.as_dict(private=False)) for key in keys]}

    async def list(self) -> Sequence[SigningKey]:
        """List all keys, retired ones too, oldest first."""
        return await list_keys(self._database)

    async def rotate(self, by: str, *, now: bool = False) -> SigningKey:
        """Make a new key, which signs as soon as everybody can know it.

        Args:
            by: Who wants it.
            now: It signs at once and every other key is gone: for keys that somebody else may have, or whose secret
                is lost. All tokens are void, here at once and elsewhere within minutes.

        Raises:
            ConfigError: The active key cannot be opened, so that others could not open the new one.
        """
        draft = await draft_key(self._seal)
        async with self._database.transaction() as session:
            change = self._change(session, by)
            row = await (change.begin_anew(draft) if now else change.begin(self._seal, draft))
        await self.refresh()
        return SigningKey.model_validate(row)

    async def tend(self) -> None:
        """Learn what other processes did, and do what is due.

        Raises:
            ConfigError: A key that signs, or is about to, cannot be opened.
        """
        await self.refresh()
        todo = due(self._rows, self._now(), self._lifetime)
        if not todo:
            return
        draft = await draft_key(self._seal) if todo.begin else None
        async with self._database.transaction() as session:
            await self._change(session, "").by_schedule(self._seal, draft, self._lifetime)
        await self.refresh()

    async def refresh(self) -> None:
        """Read the keys anew.

        Raises:
            ConfigError: The active key cannot be opened. What may be verified is known all the same.
        """
        async with self._reading:  # an older answer must not come after a newer one
            async with self._database.read() as session:
                rows = await living(session)
            self._rows = [SigningKey.model_validate(row) for row in rows]
            known = {row.kid: self._public.get(row.kid) or public_key(row.public) for row in rows}
            self._public = {kid: key for kid, key in known.items() if key is not None}
            await self._open(next((row for row in rows if row.state == KeyState.ACTIVE), None))

    async def _open(self, active: SigningKeyRow | None) -> None:
        """Take the active key in hand. One that is not shown any more signs no longer, whatever comes after it."""
        if self._private is not None and self._private.kid not in self._public:
            self._private = None
        if active is not None and (self._private is None or self._private.kid != active.kid):
            self._private = await asyncio.to_thread(_opened, self._seal, active.sealed or "")

    async def _look(self) -> None:
        try:
            await self.refresh()
        except ConfigError:
            pass  # what there is to verify with is known; whoever tends the keys complains
        except (SQLAlchemyError, OSError) as exc:
            raise Unavailable("Signing keys cannot be read just now; try again.") from exc

    def _change(self, session: AsyncSession, by: str) -> Change:
        return Change(session, audit=self._audit, by=by, now=self._now())


async def list_keys(database: Database) -> Sequence[SigningKey]:
    """List all keys, retired ones too, oldest first: it opens none."""
    async with database.read() as session:
        return [SigningKey.model_validate(row) for row in await all_keys(session)]


@asynccontextmanager
async def open_key_ring(
    database: Database, *, seal: Seal, settings: AuthSettings, audit: AuditTrail
) -> AsyncIterator[KeyRing]:
    """Open the keys of a database; they are looked after every `LOOK_S` seconds.

    Raises:
        ConfigError: The active key cannot be opened.
    """
    ring = KeyRing(database, seal=seal, settings=settings, audit=audit)
    await ring.load()
    tending = asyncio.create_task(_tend_forever(ring))
    try:
        yield ring
    finally:
        tending.cancel()
        await asyncio.wait([tending])


async def _tend_forever(ring: KeyRing) -> None:
    told = ""
    while True:
        await asyncio.sleep(LOOK_S)
        try:
            await ring.tend()
            told = ""
        except ConfigError as exc:
            if exc.message != told:
                log.warning("signing_key_not_opened", problem=exc.message)  # no traceback: it could hold the key
            told = exc.message
        except (SQLAlchemyError, OSError) as exc:
            log.warning("signing_keys_not_tended", error=type(exc).__name__)


def _opened(seal: Seal, sealed: str) -> RSAKey:
    try:
        return RSAKey.import_key(seal.open(sealed))
    except (JoseError, ValueError):
        raise ConfigError("The signing key in the database is broken: `codelab signing-keys rotate --now`.") from None
