"""Clients of the authorization server: registered, changed and ended by administrators of a tenant."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from ...core.errors import Conflict, Forbidden, InvalidInput
from ...core.permissions import GRANTABLE
from ...core.types import Principal, new_id, utc_now
from ...store.engine import Database
from ...store.models import OAuthClientRow
from ..oauth.secrets import CLIENT, digest_of, new_secret
from ..seams import AuditEntry, AuditTrail, Origin, Revocations
from .repository import count_clients, end_families, get_client, list_clients, put_clients, read_client
from .schemas import SECRET_METHODS, ClientChange, ClientOptions, NewOAuthClient, OAuthClient
from .seeds import BUILT_IN, RENEWED, built_in_rows

MOST_CLIENTS: Final = 1000
"""Clients of one tenant, besides those that registered themselves."""
GRACE: Final = timedelta(hours=24)
"""How long a secret that was replaced is still good, so that nobody stands still meanwhile."""
_NOWHERE: Final = Origin()


class Clients:
    """The clients of everybody; each administrator sees those of their tenant.

    Whoever gives a client its form or its secret must hold all that it may ask for: nobody rises by way of a client.

    Args:
        database: Where the rows are.
        revocations: What ends access tokens.
        audit: Where changes and refusals are written down.
        now: The time of day.
    """

    def __init__(
        self,
        database: Database,
        *,
        revocations: Revocations,
        audit: AuditTrail,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._database = database
        self._revocations = revocations
        self._audit = audit
        self._now = now

    async def create(
        self, principal: Principal, options: ClientOptions, *, origin: Origin = _NOWHERE
    ) -> NewOAuthClient:
        """Register a client; its secret, if it has one, is told this once.

        Raises:
            Forbidden: The principal does not hold one of the scopes.
            Conflict: The tenant has too many clients.
        """
        secret = new_secret(CLIENT) if options.auth_method in SECRET_METHODS else None
        row = OAuthClientRow(
            **options.model_dump(),
            id=new_id(),
            secret_digest=None if secret is None else digest_of(secret),
            dynamic=False,
            created_at=self._now(),
            owner_id=principal.user_id,
            tenant_id=principal.tenant_id,
        )
        async with self._refusals(principal, row.id, "create", origin):
            _check_holds(principal, options.scopes)
            async with self._database.transaction() as session:
                if await count_clients(session, principal.tenant_id, dynamic=False) >= MOST_CLIENTS:
                    raise Conflict(f"There are {MOST_CLIENTS} clients: delete one first.", code="too_many_clients")
                session.add(row)
                await self._note(session, principal, row, "create", origin)
        return _shown(row, secret)

    async def list(
        self, principal: Principal, *, limit: int = 50, after: tuple[datetime, str] | None = None
    ) -> Sequence[OAuthClient]:
        """List the tenant's clients, newest first; `after` is time and id of the last one that was seen."""
        async with self._database.read() as session:
            rows = await list_clients(session, principal, limit=limit, after=after)
        return [OAuthClient.model_validate(row) for row in rows]

    async def get(self, principal: Principal, client_id: str) -> OAuthClient:
        """Look at a client; `Forbidden` if the tenant has none of this id."""
        async with self._refusals(principal, client_id, "read", _NOWHERE), self._database.read() as session:
            return OAuthClient.model_validate(await read_client(session, principal, client_id))

    async def update(
        self, principal: Principal, client_id: str, change: ClientChange, *, origin: Origin = _NOWHERE
    ) -> OAuthClient:
        """Change a client; one that loses a scope, a grant or an audience loses its tokens.

        Raises:
            Forbidden: The tenant has no such client, or the principal does not hold one of its scopes.
            InvalidInput: What comes out would be no client.
        """
        async with self._changing(principal, client_id, "update", origin) as (session, row):
            options = _changed(row, change)
            if row.dynamic and options.first_party:
                raise InvalidInput("Who registered by themselves stays a third party.", code="third_party")
            _check_holds(principal, options.scopes)
            narrower = _loses(row, options)
            for name in change.model_fields_set:
                setattr(row, name, getattr(options, name))
            if narrower:
                await self._end_tokens(session, client_id, "client_changed")
        return OAuthClient.model_validate(row)

    async def rotate_secret(
        self, principal: Principal, client_id: str, *, grace: timedelta = GRACE, origin: Origin = _NOWHERE
    ) -> NewOAuthClient:
        """Give a client another secret, told this once; the old one is good for `grace` more.

        Raises:
            Forbidden: The tenant has no such client, or the principal does not hold one of its scopes.
            Conflict: It has no secret.
        """
        secret = new_secret(CLIENT)
        async with self._changing(principal, client_id, "rotate_secret", origin) as (_, row):
            _check_holds(principal, row.scopes)
            if row.auth_method not in SECRET_METHODS:
                raise Conflict("This client has no secret.", code="no_client_secret")
            row.old_secret_digest, row.old_secret_until = row.secret_digest, self._now() + grace
            row.secret_digest = digest_of(secret)
        return _shown(row, secret)

    async def disable(self, principal: Principal, client_id: str, *, origin: Origin = _NOWHERE) -> OAuthClient:
        """Let a client have no tokens, and end those it has. Again is no error."""
        async with self._changing(principal, client_id, "disable", origin, built_in=True) as (session, row):
            row.disabled_at = row.disabled_at or self._now()
            await self._end_tokens(session, client_id, "client_disabled")
        return OAuthClient.model_validate(row)

    async def enable(self, principal: Principal, client_id: str, *, origin: Origin = _NOWHERE) -> OAuthClient:
        """Let a client have tokens again; those that were ended stay so."""
        async with self._changing(principal, client_id, "enable", origin, built_in=True) as (_, row):
            _check_holds(principal, row.scopes)
            row.disabled_at = None
        return OAuthClient.model_validate(row)

    async def delete(self, principal: Principal, client_id: str, *, origin: Origin = _NOWHERE) -> None:
        """Delete a client, end its tokens, and forget what people allowed it."""
        async with self._changing(principal, client_id, "delete", origin) as (session, row):
            await self._end_tokens(session, client_id, "client_deleted")
            await session.delete(row)

    async def seed(self) -> None:
        """See to it that the built-in clients are there, as this release knows them; a disabled one stays so."""
        async with self._database.transaction() as session:
            await put_clients(session, built_in_rows(self._now()), RENEWED)

    @asynccontextmanager
    async def _changing(
        self, principal: Principal, client_id: str, action: str, origin: Origin, *, built_in: bool = False
    ) -> AsyncIterator[tuple[AsyncSession, OAuthClientRow]]:
        async with self._refusals(principal, client_id, action, origin), self._database.transaction() as session:
            row = await get_client(session, principal, client_id)
            if client_id in BUILT_IN and not built_in:
                raise Conflict("This client belongs to the program: disable it.", code="built_in_client")
            yield session, row
            await self._note(session, principal, row, action, origin)

    @asynccontextmanager
    async def _refusals(self, principal: Principal, client_id: str, action: str, origin: Origin) -> AsyncIterator[None]:
        try:
            yield
        except Forbidden as exc:
            entry = _entry(principal, client_id, origin, {"action": f"clients.{action}", "reason": exc.message})
            await self._audit.record(entry("auth.refused", "denied"))
            raise

    async def _note(
        self, session: AsyncSession, principal: Principal, row: OAuthClientRow, action: str, origin: Origin
    ) -> None:
        details = {
            "action": action,
            "name": row.name,
            "auth_method": row.auth_method,
            "grants": row.grant_types,
            "scopes": row.scopes,
            "redirects": row.redirect_uris,
        }
        entry = _entry(principal, row.id, origin, details)("auth.client_changed", "ok")
        await session.run_sync(lambda sync: self._audit.note(sync, entry))

    async def _end_tokens(self, session: AsyncSession, client_id: str, reason: str) -> None:
        now = self._now()
        await session.run_sync(lambda sync: end_families(sync, client_id, reason=reason, now=now))
        await session.run_sync(lambda sync: self._revocations.revoke(sync, [f"client:{client_id}"]))


def _entry(
    principal: Principal, client_id: str, origin: Origin, details: dict[str, Any]
) -> Callable[[str, str], AuditEntry]:
    def make(kind: str, outcome: str) -> AuditEntry:
        return AuditEntry(
            type=kind,
            outcome=outcome,
            tenant_id=principal.tenant_id,
            actor=principal.user_id,
            client_id=principal.client_id,
            subject=f"client:{client_id}",
            origin=origin,
            details=details,
        )

    return make


def _check_holds(principal: Principal, scopes: Collection[str]) -> None:
    missing = (set(scopes) & GRANTABLE) - principal.scopes
    if missing:
        raise Forbidden(f"You do not hold the permission {min(missing)}: a client of yours cannot either.")


def _changed(row: OAuthClientRow, change: ClientChange) -> ClientOptions:
    """What a client will be; its parts were checked, how they fit together is checked here."""
    kept = {name: getattr(row, name) for name in ClientOptions.model_fields}
    try:
        return ClientOptions.model_validate({**kept, **change.model_dump(exclude_unset=True)})
    except ValidationError as exc:
        first = exc.errors()[0]
        raise InvalidInput(f"{'.'.join(map(str, first['loc'])) or 'client'}: {first['msg']}") from exc


def _loses(row: OAuthClientRow, options: ClientOptions) -> bool:
    return any(set(getattr(row, name)) - set(getattr(options, name)) for name in ("scopes", "grant_types", "audiences"))


def _shown(row: OAuthClientRow, secret: str | None) -> NewOAuthClient:
    return NewOAuthClient(**OAuthClient.model_validate(row).model_dump(), client_secret=secret)
