"""Who asks the authorization server while it is measured: clients, people, and tokens to begin with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from codelab.auth.audit.service import Audit
from codelab.auth.oauth.secrets import CLIENT, REFRESH, digest_of, new_secret
from codelab.auth.rbac.cache import PermissionCache
from codelab.auth.rbac.service import Roles
from codelab.auth.users.hashing import Hasher
from codelab.core.types import new_id, utc_now
from codelab.store.engine import Database
from codelab.store.migrate import upgrade
from codelab.store.models import OAuthClientRow, RefreshTokenRow, TokenFamilyRow, UserRow

PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of people who live for the measurement
TENANT: Final = "default"
SCOPES: Final = ("threads:read", "threads:write", "runs:read", "openid", "offline_access")


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who there is.

    Attributes:
        secret: Of the client `service`, which gets tokens for itself and looks tokens up.
        people: Their addresses; the password is one.
        refresh: A token of the public client `app` for each of as many families.
    """

    secret: str
    people: list[str]
    refresh: list[str]


async def furnish(url: str, *, people: int, families: int) -> Cast:
    """Fill a database, migrating it before."""
    database = Database(url)
    try:
        await upgrade(database)
        return await _furnish(database, people, families)
    finally:
        await database.close()


async def _furnish(database: Database, people: int, families: int) -> Cast:
    secret, roles = new_secret(CLIENT), Roles(database, audit=Audit(database), permissions=PermissionCache(database))
    await roles.ensure(TENANT)
    hasher = Hasher(1)
    hashed = await hasher.hash(PASSWORD)
    hasher.close()
    users = [_user(number, hashed) for number in range(people)]
    begun = [_family(users[number % people].id) for number in range(families)]
    tokens = [new_secret(REFRESH) for _ in begun]
    async with database.transaction() as session:
        session.add_all([*_clients(secret), *users])
        await session.flush()
        for user in users:
            await session.run_sync(lambda inner, to=user.id: roles.give(inner, to, ["member"], by="bench"))
        session.add_all(begun)
        await session.flush()
        session.add_all([_refresh(token, family) for token, family in zip(tokens, begun, strict=True)])
    return Cast(secret=secret, people=[user.email for user in users], refresh=tokens)


def _clients(secret: str) -> list[OAuthClientRow]:
    digest = digest_of(secret)
    return [
        _client("service", "client_secret_basic", ["client_credentials"], secret_digest=digest),
        _client("app", "none", ["authorization_code", "refresh_token"]),
        _client("own", "none", ["password"], first_party=True),
    ]


def _client(name: str, method: str, grants: list[str], **values: Any) -> OAuthClientRow:
    return OAuthClientRow(
        **{
            "id": name,
            "name": name,
            "auth_method": method,
            "redirect_uris": [],
            "grant_types": grants,
            "scopes": list(SCOPES),
            "audiences": [],
            "first_party": False,
            "dynamic": False,
            "created_at": utc_now(),
            "owner_id": "",
            "tenant_id": TENANT,
            **values,
        }
    )


def _user(number: int, hashed: str) -> UserRow:
    key = new_id()
    return UserRow(
        id=key,
        owner_id=key,
        tenant_id=TENANT,
        email=f"person-{number}@codelab.bench",
        name=f"Person {number}",
        hashed_password=hashed,
        is_active=True,
        is_superuser=False,
        is_verified=True,
        created_at=utc_now(),
    )


def _family(user_id: str) -> TokenFamilyRow:
    now = utc_now()
    return TokenFamilyRow(
        id=new_id(),
        client_id="app",
        user_id=user_id,
        owner_id=user_id,
        tenant_id=TENANT,
        scope="threads:read threads:write runs:read offline_access",
        amr=["pwd"],
        acr="1",
        auth_time=now,
        created_at=now,
        last_used_at=now,
        expires_at=now + timedelta(days=90),
    )


def _refresh(token: str, family: TokenFamilyRow) -> RefreshTokenRow:
    return RefreshTokenRow(
        digest=digest_of(token),
        family_id=family.id,
        owner_id=family.owner_id,
        tenant_id=TENANT,
        issued_at=utc_now(),
        expires_at=family.expires_at,
    )
