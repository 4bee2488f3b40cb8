"""The one wiring of identity: people, roles, clients, keys, tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

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
from .tending import Chore, tended
from .users.accounts import Accounts
from .users.hashing import Hasher
from .users.lockout import Attempts
from .users.mail import mailer_for
from .users.sign_in import SignIn
from .verify.revocations import SqlRevocations, open_revocations
from .verify.tokens import Verifier


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
        return Checks(
            tokens=self.verifier,
            sessions=self.sessions,
            permissions=self.permissions,
            revocations=self.revocations,
        )


@dataclass(frozen=True, kw_only=True)
class _Ground:
    """What the services stand on: whatever is opened and must be closed."""

    settings: AuthSettings
    issuer: str
    secret: str
    database: Database
    audit: Audit
    keys: KeyRing
    revocations: SqlRevocations
    hasher: Hasher
    attempts: Attempts


@asynccontextmanager
async def open_identity(settings: Settings, database: Database) -> AsyncIterator[Identity]:
    """Wire identity over a database that is at head; what is due is done while the block lasts.

    Args:
        settings: What was set.
        database: Where everything is.

    Raises:
        ConfigError: The settings do not allow a start, or no secret opens the signing keys.
    """
    async with _open_ground(settings, database) as ground:
        identity = _wire(ground)
        identity = replace(identity, first_link=await _begin(identity))
        async with noting(identity.sessions), tended(_chores(identity)):
            yield identity
        await identity.accounts.settle()


@asynccontextmanager
async def _open_ground(settings: Settings, database: Database) -> AsyncIterator[_Ground]:
    auth, secrets, audit = settings.auth, secret_keys(settings), Audit(database)
    async with AsyncExitStack() as stack:
        ring = open_key_ring(database, seal=Seal(secrets), settings=auth, audit=audit)
        ground = _Ground(
            settings=auth,
            issuer=issuer_of(settings),
            secret=secrets[0],
            database=database,
            audit=audit,
            keys=await stack.enter_async_context(ring),
            revocations=await stack.enter_async_context(open_revocations(database, settings.redis.url)),
            hasher=Hasher(auth.hash_threads),
            attempts=Attempts(auth.lockout, settings.redis.url),
        )
        stack.callback(ground.hasher.close)
        stack.push_async_callback(ground.attempts.close)
        yield ground


def _wire(ground: _Ground) -> Identity:
    """Put the services on it."""
    database, audit, revocations, auth = ground.database, ground.audit, ground.revocations, ground.settings
    permissions = PermissionCache(database)
    roles = Roles(database, audit=audit, permissions=permissions)
    sessions = Sessions(database=database, settings=auth, revocations=revocations, audit=audit)
    mailer = mailer_for(auth.mail)
    return Identity(
        settings=auth,
        issuer=ground.issuer,
        database=database,
        audit=audit,
        permissions=permissions,
        roles=roles,
        keys=ground.keys,
        revocations=revocations,
        verifier=Verifier(ground.keys, revocations=revocations, issuer=ground.issuer),
        hasher=ground.hasher,
        mailer=mailer,
        attempts=ground.attempts,
        sessions=sessions,
        accounts=_accounts(ground, mailer, sessions, roles),
        sign_in=SignIn(
            database=database, hasher=ground.hasher, attempts=ground.attempts, sessions=sessions, audit=audit
        ),
        clients=Clients(database, revocations=revocations, audit=audit),
        oauth=_authorization_server(ground, permissions),
    )


def _accounts(ground: _Ground, mailer: Mailer, sessions: Sessions, roles: Roles) -> Accounts:
    return Accounts(
        database=ground.database,
        settings=ground.settings,
        issuer=ground.issuer,
        secret=ground.secret,
        hasher=ground.hasher,
        mailer=mailer,
        sessions=sessions,
        attempts=ground.attempts,
        revocations=ground.revocations,
        audit=ground.audit,
        roles=roles,
    )


def _authorization_server(ground: _Ground, permissions: PermissionCache) -> OAuthParts:
    return OAuthParts(
        settings=ground.settings,
        issuer=ground.issuer,
        signer=ground.keys,
        permissions=permissions,
        revocations=ground.revocations,
        audit=ground.audit,
    )


async def _begin(identity: Identity) -> str | None:
    """Make what a first start makes, and every other finds; the link of an administrator who never came in."""
    await identity.roles.ensure(TENANT)
    await identity.clients.seed()
    return await identity.accounts.ensure_first_admin()


def _chores(identity: Identity) -> Sequence[Chore]:
    return (
        identity.sessions.trim,
        identity.accounts.trim,
        lambda: identity.audit.trim(identity.settings.audit_days),
        lambda: trim_issued(identity.database, utc_now()),
    )
