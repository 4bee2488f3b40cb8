"""The one wiring of identity: people, roles, clients, keys, tokens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from ..core.settings import Settings
from ..core.settings_auth import AuthSettings
from ..core.types import utc_now
from ..store.engine import Database
from .audit.service import Audit
from .clients.service import Clients
from .door import Checks
from .hosting import TENANT
from .issuer import issuer_of
from .oauth.server import OAuthParts
from .oauth.trimming import trim_issued
from .rbac.cache import PermissionCache
from .rbac.service import Roles
from .seams import Mailer
from .sessions.service import Sessions, noting
from .signing.sealing import Seal, secret_keys
from .signing.service import KeyRing, open_key_ring
from .users.accounts import Accounts
from .users.hashing import Hasher
from .users.lockout import Attempts
from .users.mail import mailer_for
from .users.sign_in import SignIn
from .verify.revocations import SqlRevocations, open_revocations
from .verify.tokens import Verifier

log = structlog.get_logger(__name__)

_TRIM_EVERY_S: Final = 300.0


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Everything that routes and commands ask about people and tokens.

    Attributes:
        issuer: Our name.
        keys: Signs, and verifies what was signed here.
        verifier: Checks access tokens.
        oauth: What the authorization server is made of.
        first_link: Where the first administrator chooses a password, once; None when somebody has signed in.
    """

    settings: AuthSettings
    issuer: str
    database: Database
    audit: Audit
    permissions: PermissionCache
    roles: Roles
    keys: KeyRing
    revocations: SqlRevocations
    verifier: Verifier
    hasher: Hasher
    mailer: Mailer
    attempts: Attempts
    sessions: Sessions
    accounts: Accounts
    sign_in: SignIn
    clients: Clients
    oauth: OAuthParts
    first_link: str | None = None

    @property
    def checks(self) -> Checks:
        """What the door asks."""
        return Checks(tokens=self.verifier, sessions=self.sessions, permissions=self.permissions)


@asynccontextmanager
async def open_identity(settings: Settings, database: Database) -> AsyncIterator[Identity]:
    """Wire identity over a database that is at head; what is due is done while the block lasts.

    Args:
        settings: What was set.
        database: Where everything is.

    Raises:
        ConfigError: The settings do not allow a start, or no secret opens the signing keys.
    """
    auth, issuer, secrets = settings.auth, issuer_of(settings), secret_keys(settings)
    audit, permissions = Audit(database), PermissionCache(database)
    async with AsyncExitStack() as stack:
        seal = Seal(secrets)
        keys = await stack.enter_async_context(open_key_ring(database, seal=seal, settings=auth, audit=audit))
        revocations = await stack.enter_async_context(open_revocations(database, settings.redis.url))
        hasher = Hasher(auth.hash_threads)
        stack.callback(hasher.close)
        attempts = Attempts(auth.lockout, settings.redis.url)
        stack.push_async_callback(attempts.close)
        sessions = Sessions(database=database, settings=auth, revocations=revocations, audit=audit)
        roles = Roles(database, audit=audit, permissions=permissions)
        mailer = mailer_for(auth.mail)
        accounts = Accounts(
            database=database,
            settings=auth,
            issuer=issuer,
            secret=secrets[0],
            hasher=hasher,
            mailer=mailer,
            sessions=sessions,
            attempts=attempts,
            revocations=revocations,
            audit=audit,
            roles=roles,
        )
        stack.push_async_callback(accounts.settle)
        oauth = OAuthParts(
            settings=auth,
            issuer=issuer,
            signer=keys,
            permissions=permissions,
            revocations=revocations,
            audit=audit,
        )
        identity = Identity(
            settings=auth,
            issuer=issuer,
            database=database,
            audit=audit,
            permissions=permissions,
            roles=roles,
            keys=keys,
            revocations=revocations,
            verifier=Verifier(keys, revocations=revocations, issuer=issuer),
            hasher=hasher,
            mailer=mailer,
            attempts=attempts,
            sessions=sessions,
            accounts=accounts,
            sign_in=SignIn(database=database, hasher=hasher, attempts=attempts, sessions=sessions, audit=audit),
            clients=Clients(database, revocations=revocations, audit=audit),
            oauth=oauth,
        )
        identity = replace(identity, first_link=await _begin(identity))
        await stack.enter_async_context(noting(sessions))
        await stack.enter_async_context(_tended(identity))
        yield identity


async def _begin(identity: Identity) -> str | None:
    """Make what a first start makes, and every other finds; the link of an administrator who never came in."""
    await identity.roles.ensure(TENANT)
    await identity.clients.seed()
    return await identity.accounts.ensure_first_admin()


@asynccontextmanager
async def _tended(identity: Identity) -> AsyncIterator[None]:
    """Do what is due now and then, until the block ends."""
    chores: Sequence[tuple[float, Callable[[], Awaitable[Any]]]] = (
        (_TRIM_EVERY_S, identity.sessions.trim),
        (_TRIM_EVERY_S, identity.accounts.trim),
        (_TRIM_EVERY_S, lambda: identity.audit.trim(identity.settings.audit_days)),
        (_TRIM_EVERY_S, lambda: trim_issued(identity.database, utc_now())),
    )
    tasks = [asyncio.create_task(_forever(pause, chore)) for pause, chore in chores]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _forever(pause_s: float, chore: Callable[[], Awaitable[Any]]) -> None:
    while True:
        await asyncio.sleep(pause_s)
        try:
            await chore()
        except (SQLAlchemyError, OSError) as exc:
            log.warning("chore_failed", chore=getattr(chore, "__qualname__", "trim"), error=type(exc).__name__)
