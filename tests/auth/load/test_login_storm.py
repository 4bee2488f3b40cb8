"""While many sign in, everybody else is served: no password is hashed where requests are."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import argon2

from tests.auth.load.conftest import WRONG
from tests.support.site import EMAIL, PASSWORD, Site, hidden

AT_ONCE = 8
LOGINS = 24
LIBRARY = str(Path(argon2.__file__).parent)


@contextmanager
def watched() -> Iterator[list[str]]:
    """What of the hashing library runs in this thread, which is the event loop's."""
    seen: list[str] = []

    def watch(frame: FrameType, event: str, _arg: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(LIBRARY):
            seen.append(frame.f_code.co_qualname)

    sys.setprofile(watch)
    try:
        yield seen
    finally:
        sys.setprofile(None)


async def sign_ins(site: Site) -> None:
    """People come by the page and by the grant; every other password is wrong."""
    left = iter(range(LOGINS))
    form = hidden((await site.http.get("/login")).text)

    async def crew() -> None:
        for number in left:
            password = PASSWORD if number % 2 else "wrong"
            if number % 4 < 2:
                answer = await site.http.post("/oauth/token", data={**WRONG, "password": password})
                assert answer.status_code == (200 if number % 2 else 400), answer.text
            else:
                await site.http.post("/login", data={**form, "username": EMAIL, "password": password})

    await asyncio.gather(*(crew() for _ in range(AT_ONCE)))


async def small_things(site: Site) -> None:
    """What others ask for meanwhile."""
    for path in ("/health", "/.well-known/jwks.json"):
        assert (await site.http.get(path)).status_code == 200


async def test_no_password_is_hashed_on_the_event_loop(site):
    with watched() as seen:
        await asyncio.gather(sign_ins(site), *(small_things(site) for _ in range(AT_ONCE)))
    assert not seen
    with watched() as seen:  # it would be seen
        argon2.PasswordHasher(time_cost=1, memory_cost=64).hash(PASSWORD)
    assert seen
