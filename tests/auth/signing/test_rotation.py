"""Through a whole rotation, under load, no good token is ever refused: here, in another process, or over HTTP."""

from __future__ import annotations

import asyncio
from collections import deque
from itertools import count

import pytest
from joserfc.jwk import RSAKey

from codelab.auth.signing.schedule import LOOK_S, OVERLAP, SHOWN
from codelab.auth.signing.service import KeyRing
from codelab.auth.verify.jose import public_key
from codelab.auth.verify.remote import KeyDocument, RemoteKeys
from codelab.auth.verify.revocations import SqlRevocations
from codelab.auth.verify.tokens import Verifier
from tests.support.tokens import ISSUER, Clock, claims

STEP_S = LOOK_S
EACH = 2
"""Tokens of one process between two steps of the clock."""


class PlainCache:
    """Somebody else's resource server: it fetches the keys when they are five minutes old, and never sooner."""

    def __init__(self, ring: KeyRing, clock: Clock) -> None:
        self._ring = ring
        self._clock = clock
        self._fetched = clock()
        self._keys = ring.jwks()["keys"]

    async def find(self, kid: str) -> RSAKey | None:
        if self._clock() - self._fetched >= 300:
            self._fetched, self._keys = self._clock(), self._ring.jwks()["keys"]
        return next((public_key(key) for key in self._keys if key["kid"] == kid), None)


class Traffic:
    """Tokens that are issued and shown while the clock goes on.

    Args:
        clock: Everybody's.
        issuers: Processes that sign.
        verifiers: Processes that are shown every token.
    """

    def __init__(self, clock: Clock, issuers: list[KeyRing], verifiers: list[Verifier]) -> None:
        self._clock = clock
        self._issuers = issuers
        self._verifiers = verifiers
        self._living: deque[tuple[float, str]] = deque()
        self._number = count()
        self.shown = 0

    async def flow(self) -> None:
        """Issue some, and show these, the oldest and some between to everybody."""
        now = self._clock()
        while self._living and self._living[0][0] <= now - 600:
            self._living.popleft()
        for ring in self._issuers:
            await asyncio.gather(*(self._issue(ring) for _ in range(EACH)))
        sample = [*list(self._living)[:EACH], *list(self._living)[:: len(self._living) // 4 + 1]]
        await asyncio.gather(*(self._show(token) for _, token in sample))

    async def _issue(self, ring: KeyRing) -> None:
        token = ring.sign(claims(self._clock.unix(), jti=str(next(self._number))), typ="at+jwt")
        self._living.append((self._clock(), token))
        await asyncio.sleep(0)
        await self._show(token)

    async def _show(self, token: str) -> None:
        for verifier in self._verifiers:
            await verifier.verify(token, {ISSUER})  # raises
            self.shown += 1


@pytest.mark.parametrize("lag", [0, 1], ids=["together", "in turns"])
async def test_no_good_token_is_refused_while_the_keys_turn(new_ring, databases, clock: Clock, lag: int) -> None:
    """Attack 32. The processes look at the keys together, or each when the other does not."""
    rings = [new_ring(), new_ring()]
    for ring in rings:
        await ring.load()

    async def fetch(_url: str) -> KeyDocument:
        return KeyDocument(rings[1].jwks())

    remote = RemoteKeys("https://codelab.test/jwks", fetch=fetch, clock=clock)
    dead = SqlRevocations(databases(), now=clock.now)
    sources = [*rings, remote, PlainCache(rings[1], clock)]
    traffic = Traffic(clock, rings, [Verifier(it, revocations=dead, issuer=ISSUER, now=clock.unix) for it in sources])
    (old,) = (key["kid"] for key in rings[0].jwks()["keys"])
    await traffic.flow()
    new = (await rings[0].rotate("op")).kid
    steps = int((SHOWN + OVERLAP).total_seconds() / STEP_S) + 4
    for step in range(steps):
        clock.seconds += STEP_S
        tending = rings if not lag else [rings[step % 2]]
        await asyncio.gather(traffic.flow(), *(ring.tend() for ring in tending), traffic.flow())
    assert traffic.shown > steps * 10
    assert [key["kid"] for key in rings[1].jwks()["keys"]] == [new]
    clock.seconds += 300
    assert [await source.find(old) for source in sources] == [None] * 4
    assert [(await source.find(new)).kid for source in sources] == [new] * 4
