"""Redis goes away while many try to sign in: each process goes on counting by itself, and nobody is unlimited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from codelab.core.settings import RedisSettings
from codelab.core.settings_auth import LockoutSettings
from codelab.server.auth_app import create_auth_app
from tests.auth.load.conftest import TRIES, WRONG, refused_because
from tests.support.identity import REDIRECT
from tests.support.site import PASSWORD, Site, settings_of
from tests.support.tcp_proxy import Proxy

BOB = "bob@example.org"


@dataclass
class Pair:
    """Two processes that share a database, and a Redis behind a line that can be cut."""

    sites: Sequence[Site]
    line: Proxy

    async def storm(self, each: int) -> list[httpx.Response]:
        """Wrong passwords for Ann at both, all at once."""
        tries = (site.http.post("/oauth/token", data=WRONG) for site in self.sites for _ in range(each))
        return await asyncio.gather(*tries)

    async def refused_because(self) -> list[str]:
        """Why passwords were refused, at both."""
        return [await refused_because(site) for site in self.sites][-1]


@pytest.fixture
async def pair(tmp_path: Path, sqlite_url: str, redis_url: str) -> AsyncIterator[Pair]:
    parts = urlsplit(redis_url)
    async with AsyncExitStack() as stack:
        line = stack.enter_context(Proxy(parts.port or 6379))
        redis = RedisSettings(url=parts._replace(netloc=f"127.0.0.1:{line.port}").geturl())
        settings = settings_of(tmp_path, sqlite_url, password_grant=True, lockout=LockoutSettings(attempts=TRIES))
        sites = []
        for _ in range(2):
            app = create_auth_app(settings.model_copy(update={"redis": redis}))
            await stack.enter_async_context(app.router.lifespan_context(app))
            site = Site(app, httpx.AsyncClient(), tmp_path / "mails")
            site.http = await stack.enter_async_context(site.browser())
            sites.append(site)
        for email in (WRONG["username"], BOB):
            await sites[0].person(email)
        await sites[0].client("own", REDIRECT, grant_types=["password"], first_party=True)
        yield Pair(sites, line)


async def test_with_redis_both_count_together(pair):  # attack 26
    await pair.storm(8)
    assert (await pair.refused_because()).count("wrong") == TRIES


@pytest.mark.parametrize("reset", [True, False], ids=["refused", "silent"])
async def test_a_redis_that_goes_in_the_middle_of_a_storm_takes_no_limit_away(pair, reset):  # attack 27
    answers = await pair.storm(1)  # counted in Redis
    storm = asyncio.create_task(pair.storm(12))
    await asyncio.sleep(0)  # it has begun
    pair.line.cut(reset=reset)
    answers += [*await storm, *await pair.storm(6)]
    assert {(answer.status_code, answer.text) for answer in answers} == {(400, answers[0].text)}
    assert TRIES <= (await pair.refused_because()).count("wrong") <= len(pair.sites) * TRIES
    for site in pair.sites:
        right = await site.http.post("/oauth/token", data={**WRONG, "password": PASSWORD})
        assert (right.status_code, right.text) == (400, answers[0].text)
        other = await site.http.post("/oauth/token", data={**WRONG, "username": BOB, "password": PASSWORD})
        assert other.status_code == 200, "whoever did nothing signs in without Redis"
