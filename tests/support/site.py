"""The pages of sign-in and account as a browser without scripts sees them, on the real parts."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from codelab.auth.compose import Identity
from codelab.core.settings import DatabaseSettings, ServerSettings, Settings
from codelab.core.settings_auth import AuthSettings, MailSettings
from codelab.core.types import new_id, utc_now
from codelab.server.auth_app import create_auth_app
from codelab.store.models import OAuthClientRow, UserRow
from tests.support.agent_server import listening

PASSWORD = "correct horse battery staple"
EMAIL = "ann@example.org"
BROWSER = {"accept": "text/html", "sec-fetch-site": "same-origin"}
_HIDDEN = re.compile(r'<input type="hidden" name="([^"]*)" value="([^"]*)">')


@dataclass
class Site:
    """A server that people sign in at.

    Attributes:
        http: A browser: it keeps cookies, and does not follow redirects.
        mails: Where mails are written.
    """

    app: FastAPI
    http: httpx.AsyncClient
    mails: Path

    @property
    def identity(self) -> Identity:
        return self.app.state.identity

    async def person(self, email: str = EMAIL, *, roles: tuple[str, ...] = ("member",), name: str = "Ann") -> UserRow:
        """Add a person whose password is `PASSWORD`."""
        key, hashed = new_id(), await self.identity.hasher.hash(PASSWORD)
        row = UserRow(
            id=key,
            owner_id=key,
            tenant_id="default",
            email=email,
            name=name,
            hashed_password=hashed,
            is_active=True,
            is_superuser=False,
            is_verified=True,
            created_at=utc_now(),
        )
        async with self.identity.database.transaction() as session:
            session.add(row)
            await session.flush()
            await session.run_sync(lambda sync: self.identity.roles.give(sync, key, roles, by="test"))
        return row

    async def client(self, client_id: str, redirect_uri: str, **values: Any) -> OAuthClientRow:
        """Add a public client."""
        facts = {
            "name": client_id.title(),
            "auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"],
            "scopes": ["threads:read", "threads:write", "runs:read", "openid", "email", "offline_access"],
            "first_party": False,
            "dynamic": False,
        }
        row = OAuthClientRow(
            id=client_id,
            redirect_uris=[redirect_uri],
            audiences=[],
            created_at=utc_now(),
            owner_id="",
            tenant_id="default",
            **{**facts, **values},
        )
        async with self.identity.database.transaction() as session:
            session.add(row)
        return row

    def browser(self) -> httpx.AsyncClient:
        """Another browser, with cookies of its own."""
        transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url=self.identity.issuer, headers=BROWSER)

    async def send(
        self, at: str, to: str | None = None, *, http: httpx.AsyncClient | None = None, **typed: str
    ) -> httpx.Response:
        """Open a page and send its (first) form with what is typed, `to` an address or to where the page is."""
        browser = http or self.http
        page = await browser.get(at)
        return await browser.post(to or at.partition("?")[0], data={**hidden(page.text), **typed})

    async def sign_in(self, email: str = EMAIL, *, http: httpx.AsyncClient | None = None) -> httpx.Response:
        answer = await self.send("/login", http=http, username=email, password=PASSWORD)
        assert answer.status_code == 303, answer.text
        return answer

    async def last_link(self) -> str:
        """The path of the link in the newest mail."""
        await self.identity.accounts.settle()
        newest = max(self.mails.iterdir())
        mail = message_from_bytes(newest.read_bytes(), policy=default)
        found = re.search(re.escape(self.identity.issuer) + r"(/\S+)", mail.get_content())
        assert found is not None
        return found[1]


def hidden(page: str) -> Mapping[str, str]:
    """What a page's forms send without being typed; the first form's, where several differ."""
    pairs = [(name, html.unescape(value)) for name, value in _HIDDEN.findall(page)]
    return dict(reversed(pairs))


def settings_of(folder: Path, database_url: str, *, port: int = 8000, **auth: Any) -> Settings:
    return Settings(
        data_dir=folder / "data",
        database=DatabaseSettings(url=database_url),
        server=ServerSettings(port=port),
        auth=AuthSettings(mode="oauth", **{"mail": MailSettings(folder=folder / "mails"), **auth}),
        _env_file=None,
    )


@asynccontextmanager
async def open_site(folder: Path, database_url: str, *, port: int | None = None, **auth: Any) -> AsyncIterator[Site]:
    """Serve the pages, in this process; on a port if one is named.

    Args:
        folder: For data and mails.
        database_url: At head.
        port: Where to listen.
        auth: Settings of the group `auth`.
    """
    app = create_auth_app(settings_of(folder, database_url, port=port or 8000, **auth))
    if port is not None:
        async with listening(app, port=port) as http:
            yield Site(app, http, folder / "mails")
        return
    async with app.router.lifespan_context(app):
        site = Site(app, httpx.AsyncClient(), folder / "mails")
        async with site.browser() as http:
            site.http = http
            yield site
