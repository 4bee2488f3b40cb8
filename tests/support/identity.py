"""An authorization server for tests: real parts over one database, a clock that tests turn, and raw HTTP to it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from fastapi import APIRouter, FastAPI
from joserfc import jwt
from joserfc.jwk import RSAKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from codelab.auth.audit.service import Audit
from codelab.auth.oauth.secrets import digest_of
from codelab.auth.oauth.server import OAuthParts
from codelab.auth.seams import Origin, Proof
from codelab.auth.sessions.csrf import csrf_of
from codelab.auth.sessions.service import Sessions
from codelab.auth.verify.revocations import SqlRevocations
from codelab.auth.verify.tokens import Verifier
from codelab.core.errors import Unauthenticated
from codelab.core.permissions import GRANTABLE
from codelab.core.settings_auth import AuthSettings
from codelab.core.types import new_id
from codelab.server import errors
from codelab.server.oauth import authorize, token
from codelab.store.engine import Database
from codelab.store.models import OAuthClientRow, UserRow

ISSUER = "http://127.0.0.1:8000"
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
REDIRECT = "https://client.example/cb"
VERIFIER = "v" * 50
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
SCOPES = ("threads:read", "threads:write", "runs:read", "openid", "offline_access")
PASSWORD = "correct horse battery staple"


class Time:
    """The time of day, as tests turn it."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at

    def seconds(self) -> float:
        return self.at.timestamp()

    def tick(self, seconds: float = 0, **more: float) -> None:
        self.at += timedelta(seconds=seconds, **more)


@cache
def signing_key() -> RSAKey:
    """One key for the process: making one takes a while."""
    return RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"}, auto_kid=False)


class OneKey:
    """The `Signer` and the `KeySource` of one key."""

    def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        return jwt.encode({"alg": "RS256", "kid": "test", "typ": typ}, dict(claims), signing_key())

    async def find(self, kid: str) -> RSAKey | None:
        return signing_key() if kid == "test" else None

    def jwks(self) -> dict[str, Any]:
        return {"keys": [signing_key().as_dict(private=False)]}


class Granted:
    """The `Permissions` of a table in memory; who is not in it holds everything."""

    def __init__(self) -> None:
        self.of: dict[str, frozenset[str]] = {}

    async def of_user(self, user_id: str, tenant_id: str) -> frozenset[str]:  # noqa: ARG002 - the seam's name
        return self.of.get(user_id, GRANTABLE)

    def read(self, session: Session, user_id: str) -> frozenset[str]:
        user = session.get(UserRow, user_id)
        return self.of.get(user_id, GRANTABLE) if user is not None and user.is_active else frozenset()


@dataclass(kw_only=True)
class World:
    """What a test of the authorization server has at hand."""

    database: Database
    time: Time
    permissions: Granted
    identity: Any
    app: FastAPI
    http: httpx.AsyncClient

    async def user(self, email: str = "ann@example.org", **values: Any) -> UserRow:
        """Add a person."""
        key = new_id()
        row = UserRow(
            **{
                "id": key,
                "owner_id": key,
                "tenant_id": "default",
                "email": email,
                "name": email.partition("@")[0],
                "hashed_password": "!",
                "is_active": True,
                "is_superuser": False,
                "is_verified": True,
                "created_at": self.time(),
                "password_changed_at": None,
                **values,
            }
        )
        await self.add(row)
        return row

    async def client(self, client_id: str = "web", **values: Any) -> OAuthClientRow:
        """Add a client: confidential with `secret=`, else public."""
        secret = values.pop("secret", None)
        row = OAuthClientRow(
            **{
                "id": client_id,
                "name": client_id.title(),
                "auth_method": "client_secret_basic" if secret else "none",
                "secret_digest": digest_of(secret) if secret else None,
                "redirect_uris": [REDIRECT],
                "grant_types": ["authorization_code", "refresh_token"],
                "scopes": list(SCOPES),
                "audiences": [],
                "first_party": False,
                "dynamic": False,
                "created_at": self.time(),
                "owner_id": "",
                "tenant_id": "default",
                **values,
            }
        )
        await self.add(row)
        return row

    async def add(self, row: Any) -> None:
        async with self.database.transaction() as session:
            session.add(row)

    async def change(self, kind: type[Any], key: Any, **values: Any) -> None:
        """Change a row behind everybody's back."""
        async with self.database.transaction() as session:
            row = await session.get_one(kind, key)
            for name, value in values.items():
                setattr(row, name, value)

    async def rows(self, kind: type[Any]) -> list[Any]:
        async with self.database.read() as session:
            return list(await session.scalars(select(kind)))

    async def sign_in(self, user: UserRow) -> str:
        """Begin a browser session; returns the cookie's value."""
        return await self.identity.sessions.start(user, Proof(auth_time=self.time()), Origin())

    async def authorize(self, cookie: str | None = None, **changes: str | None) -> httpx.Response:
        """GET /oauth/authorize; a parameter that is None is left out."""
        return await self.http.get("/oauth/authorize", params=asked(**changes), headers=cookie_header(cookie))

    async def decide(self, cookie: str, action: str = "allow", **changes: str | None) -> httpx.Response:
        """POST /oauth/authorize as the consent page would."""
        form = {**asked(**changes), "action": action}
        form.setdefault("csrf", csrf_of(cookie))
        return await self.http.post("/oauth/authorize", data=form, headers=cookie_header(cookie))

    async def code(self, user: UserRow, **changes: str | None) -> str:
        """Sign in, allow, and return the code."""
        response = await self.decide(await self.sign_in(user), **changes)
        return answer_of(response)["code"]

    async def token(self, *, auth: tuple[str, str] | None = None, **form: str | None) -> httpx.Response:
        """POST /oauth/token; a parameter that is None is left out."""
        data = {name: value for name, value in form.items() if value is not None}
        return await self.http.post("/oauth/token", data=data, auth=auth)

    async def redeem(self, code: str, **changes: Any) -> httpx.Response:
        """Redeem a code as the public client `web` would."""
        form = {"client_id": "web", "redirect_uri": REDIRECT, "code_verifier": VERIFIER, **changes}
        return await self.token(grant_type="authorization_code", code=code, **form)

    async def refresh(self, token: str, **changes: Any) -> httpx.Response:
        """Refresh as the public client `web` would."""
        form = {"client_id": "web", **changes}
        return await self.token(grant_type="refresh_token", refresh_token=token, **form)

    async def tokens(self, user: UserRow, **changes: str | None) -> dict[str, Any]:
        """Go the whole way to tokens for the public client `web`."""
        response = await self.redeem(await self.code(user, **changes))
        assert response.status_code == 200, response.text
        return response.json()

    async def is_good(self, access_token: str) -> bool:
        """Whether a resource server would take an access token."""
        try:
            await self.identity.verifier.verify(access_token, {ISSUER})
        except Unauthenticated:
            return False
        return True


def asked(**changes: str | None) -> dict[str, str]:
    """A good authorization request of the client `web`, with changes."""
    request: dict[str, str | None] = {
        "response_type": "code",
        "client_id": "web",
        "redirect_uri": REDIRECT,
        "scope": "threads:read runs:read",
        "state": "s1",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changes,
    }
    return {name: value for name, value in request.items() if value is not None}


def answer_of(response: httpx.Response) -> dict[str, str]:
    """The parameters that a redirect leads back with."""
    assert response.status_code == 303, (response.status_code, response.text)
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


def claims_of(token: str) -> dict[str, Any]:
    """The claims of a token whose signature is good."""
    return jwt.decode(token, signing_key()).claims


def header_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, signing_key()).header


def cookie_header(cookie: str | None) -> dict[str, str]:
    return {} if cookie is None else {"cookie": f"sid={cookie}"}


@asynccontextmanager
async def open_world(
    database: Database, *routers: APIRouter, settings: AuthSettings | None = None, **identity: Any
) -> AsyncIterator[World]:
    """Serve routers over a migrated database; `identity` adds to what they find in `app.state.identity`."""
    settings, time, permissions, key = settings or AuthSettings(mode="oauth"), Time(), Granted(), OneKey()
    audit = Audit(database, now=time)
    revocations = SqlRevocations(database, now=time)
    parts = OAuthParts(
        settings=settings,
        issuer=ISSUER,
        signer=key,
        permissions=permissions,
        revocations=revocations,
        audit=audit,
        now=time,
    )
    found = SimpleNamespace(
        settings=settings,
        issuer=ISSUER,
        database=database,
        audit=audit,
        permissions=permissions,
        revocations=revocations,
        keys=key,
        verifier=Verifier(key, revocations=revocations, issuer=ISSUER, now=time.seconds),
        sessions=Sessions(
            database=database, settings=settings, revocations=revocations, audit=audit, clock=time.seconds, now=time
        ),
        oauth=parts,
        **identity,
    )
    app = FastAPI()
    errors.install(app)
    app.state.identity = found
    for router in routers:
        app.include_router(router)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=ISSUER) as http:
        yield World(database=database, time=time, permissions=permissions, identity=found, app=app, http=http)


@asynccontextmanager
async def serving(url: str, *routers: APIRouter, **settings: Any) -> AsyncIterator[World]:
    """As `open_world`, over a database that is opened for it; without routers, authorize and token are served."""
    database = Database(url)
    try:
        found = AuthSettings(mode="oauth", **settings)
        async with open_world(database, *(routers or (authorize.router, token.router)), settings=found) as world:
            yield world
    finally:
        await database.close()
