"""Whole servers in oauth mode, asked by many at once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from codelab.core.settings_auth import LockoutSettings
from codelab.server.app import create_app
from codelab.store.models import AuditRow
from tests.support.identity import REDIRECT
from tests.support.site import EMAIL, Site, open_site, settings_of

TRIES = 5
WRONG = {"grant_type": "password", "client_id": "own", "scope": "threads:read", "username": EMAIL, "password": "wrong"}


async def rows(site: Site, kind: type[Any]) -> list[Any]:
    async with site.identity.database.read() as session:
        return list(await session.scalars(select(kind)))


async def refused_because(site: Site) -> list[str]:
    """What the audit trail says of the passwords that were refused: only those that were `wrong` were looked at."""
    await site.identity.sign_in.settle()
    facts = await rows(site, AuditRow)
    return [row.details["reason"] for row in facts if row.type in {"auth.sign_in_failed", "auth.locked_out"}]


@pytest.fixture
async def whole(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    """All that `codelab serve` serves, on SQLite and on PostgreSQL; Ann has an account, and `web` is a client."""
    app = create_app(settings_of(tmp_path, database_url, password_grant=True, lockout=LockoutSettings(attempts=TRIES)))
    async with app.router.lifespan_context(app):
        site = Site(app, httpx.AsyncClient(), tmp_path / "mails")
        async with site.browser() as http:
            site.http = http
            await site.person()
            await site.client("web", REDIRECT)
            await site.client("own", REDIRECT, grant_types=["password"], first_party=True)
            yield site


@pytest.fixture
async def site(tmp_path: Path, sqlite_url: str) -> AsyncIterator[Site]:
    """What `codelab serve --roles auth` serves; nobody is locked out soon."""
    generous = LockoutSettings(attempts=100, attempts_per_account=10_000, attempts_per_address=10_000)
    async with open_site(tmp_path, sqlite_url, password_grant=True, lockout=generous) as opened:
        await opened.person()
        await opened.client("own", REDIRECT, grant_types=["password"], first_party=True)
        yield opened
