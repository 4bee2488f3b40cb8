"""The keys turn while tokens are issued and shown over HTTP, and nobody notices."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from dataclasses import replace
from datetime import datetime, timedelta

import httpx
import pytest
from pydantic import SecretStr

from codelab.auth.oauth.secrets import digest_of
from codelab.auth.signing.schedule import OVERLAP, SHOWN
from codelab.auth.signing.sealing import Seal
from codelab.auth.signing.service import KeyRing
from codelab.auth.verify.remote import KeyDocument, RemoteKeys
from codelab.auth.verify.tokens import InvalidToken, Verifier
from codelab.core.settings_auth import ACCESS_TOKEN_MOST_S
from codelab.core.types import utc_now
from tests.support.identity import REDIRECT
from tests.support.site import Site, open_site
from tests.support.tokens import SECRET_KEY

STEP_S = 30.0
SECRET = "cl_cs_" + "s" * 43
FORM = {"grant_type": "client_credentials", "scope": "audit:read"}


class Ahead:
    """The time of a server that is ahead of everybody else's, as tests turn it."""

    def __init__(self) -> None:
        self._began = utc_now()
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self.seconds)

    def unix(self) -> float:
        return self.now().timestamp()


class Load:
    """A service that gets tokens and shows them: at our API, to introspection, and to a service that fetches our keys.

    Args:
        site: The server.
        clock: Everybody's.
        remote: The other service's keys.
    """

    def __init__(self, site: Site, clock: Ahead, remote: RemoteKeys) -> None:
        identity = site.identity
        self._http = site.http
        self._clock = clock
        self._there = Verifier(remote, revocations=identity.revocations, issuer=identity.issuer, now=clock.unix)
        self._issuer = identity.issuer
        self._living: deque[tuple[float, str]] = deque()
        self.shown = 0

    async def flow(self) -> None:
        """Get some, and show them, the oldest and some between."""
        while self._living and self._living[0][0] <= self._clock() - ACCESS_TOKEN_MOST_S:
            self._living.popleft()
        await asyncio.gather(*(self._issue() for _ in range(2)))
        sample = [self._living[0], *list(self._living)[:: len(self._living) // 3 + 1]]
        await asyncio.gather(*(self._show(token) for _, token in sample))

    async def _issue(self) -> None:
        answer = await self._http.post("/oauth/token", data=FORM, auth=("robot", SECRET))
        assert answer.status_code == 200, answer.text
        token = answer.json()["access_token"]
        self._living.append((self._clock(), token))
        await self._show(token)

    async def _show(self, token: str) -> None:
        answer = await self._http.get("/api/v1/audit?limit=1", headers={"authorization": f"Bearer {token}"})
        assert answer.status_code == 200, answer.text
        told = await self._http.post("/oauth/introspect", data={"token": token}, auth=("robot", SECRET))
        assert told.json()["active"], told.text
        await self._there.verify(token, {self._issuer})  # raises
        self.shown += 1

    @property
    def newest(self) -> str:
        """The token that was issued last."""
        return self._living[-1][1]


@pytest.fixture
async def turning(tmp_path, sqlite_url):
    """The server with a clock of its own: what it issues, signs and checks goes by that."""
    async with open_site(tmp_path, sqlite_url, secret_keys=[SecretStr(SECRET_KEY)]) as site:
        clock, was = Ahead(), site.identity
        ring = KeyRing(was.database, seal=Seal([SECRET_KEY]), settings=was.settings, audit=was.audit, now=clock.now)
        await ring.load()
        door = Verifier(ring, revocations=was.revocations, issuer=was.issuer, now=clock.unix)
        oauth = replace(was.oauth, signer=ring, now=clock.now)
        site.app.state.identity = replace(was, keys=ring, verifier=door, oauth=oauth)
        site.app.state.auth.open(site.identity.checks)
        grown_up = {"auth_method": "client_secret_basic", "secret_digest": digest_of(SECRET)}
        await site.client("robot", REDIRECT, grant_types=["client_credentials"], scopes=["audit:read"], **grown_up)
        yield site, clock


def keys_of(site: Site, clock: Ahead) -> RemoteKeys:
    """What another service knows of our keys: what it fetched, for as long as we said."""

    async def fetch(_url: str) -> KeyDocument:
        answer = await site.http.get("/.well-known/jwks.json")
        age = re.search(r"max-age=(\d+)", answer.headers["cache-control"])
        return KeyDocument(answer.json(), float(age[1]))

    return RemoteKeys("https://there/jwks", fetch=fetch, clock=clock)


async def kids(site: Site) -> list[str]:
    answer: httpx.Response = await site.http.get("/.well-known/jwks.json")
    return [key["kid"] for key in answer.json()["keys"]]


async def test_no_request_fails_while_the_keys_turn(turning):  # attack 32
    site, clock = turning
    ring, load = site.identity.keys, Load(site, clock, keys_of(site, clock))
    (old,) = await kids(site)
    await load.flow()
    new = (await ring.rotate("op")).kid
    assert await kids(site) == [old, new], "it is shown before it signs"
    steps = int((SHOWN + OVERLAP).total_seconds() / STEP_S) + 3
    for _ in range(steps):
        clock.seconds += STEP_S
        await asyncio.gather(load.flow(), ring.tend(), load.flow())
    assert load.shown > 4 * steps
    assert await kids(site) == [new]


async def test_keys_that_others_may_have_are_void_at_once(turning):  # attack 32
    site, clock = turning
    ring, load = site.identity.keys, Load(site, clock, keys_of(site, clock))
    await load.flow()
    stolen = load.newest
    await ring.rotate("op", now=True)
    answer = await site.http.get("/api/v1/audit", headers={"authorization": f"Bearer {stolen}"})
    assert answer.status_code == 401
    clock.seconds += 301  # what others keep of our keys is over
    await Load(site, clock, keys_of(site, clock)).flow()  # whoever gets a token from now on notices nothing
    with pytest.raises(InvalidToken):
        await site.identity.verifier.verify(stolen, {site.identity.issuer})
