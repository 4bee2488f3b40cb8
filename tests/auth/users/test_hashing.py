"""Hashing: off the event loop, once in every branch, never more than can be done."""

from __future__ import annotations

import asyncio
import threading
import unicodedata

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher

from codelab.auth.users.hashing import LONGEST, Hasher, no_password
from codelab.auth.users.manager import Users
from codelab.core.errors import Unavailable
from codelab.store.engine import Database
from tests.support.people import OTHER, PASSWORD, People, token_of
from tests.support.tree import imported, sources


@pytest.fixture
def hasher():
    hasher = Hasher(1)
    yield hasher
    hasher.close()


async def test_a_hash_is_argon2id_of_the_agreed_cost(hasher):
    hashed = await hasher.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await hasher.verify(PASSWORD, hashed) == (True, None)
    assert await hasher.verify(PASSWORD + "x", hashed) == (False, None)


async def test_a_weaker_hash_is_replaced(hasher):
    weak = Argon2Hasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    fits, better = await hasher.verify(PASSWORD, weak)
    assert fits
    assert better.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


async def test_nobody_is_known_by_less_work(people: People):
    """Who is not there costs the same hash: the dummy has the real one's parameters."""
    for stored in (None, no_password()):
        assert await people.hasher.verify(PASSWORD, stored) == (False, None)
    dummy = people.hasher._dummy
    assert dummy.rpartition("p=1")[0] == (await people.hasher.hash(PASSWORD)).rpartition("p=1")[0]


async def test_a_password_is_not_truncated(hasher):
    long = "x" * LONGEST
    hashed = await hasher.hash(long)
    assert (await hasher.verify(long, hashed))[0]
    assert not (await hasher.verify(long[:-1], hashed))[0]
    assert not (await hasher.verify(long + "x", hashed))[0]
    seventy = "y" * 72
    assert not (await hasher.verify(seventy, await hasher.hash(seventy + "z")))[0]


async def test_a_letter_may_be_typed_as_two(hasher):
    composed, apart = (unicodedata.normalize(form, "парольный") for form in ("NFC", "NFD"))
    assert composed != apart
    assert (await hasher.verify(apart, await hasher.hash(composed)))[0]


@pytest.mark.parametrize("typed", ["\ud800 lone surrogate", "\0 and more", ""], ids=["surrogate", "nul", "empty"])
async def test_whatever_is_typed_is_only_wrong(hasher, typed):
    assert not (await hasher.verify(typed, await hasher.hash(PASSWORD)))[0]


async def test_who_comes_when_too_many_wait_is_sent_away():
    hasher = Hasher(1, waiting=2)
    results = await asyncio.gather(*(hasher.verify(PASSWORD, None) for _ in range(10)), return_exceptions=True)
    assert [type(result) for result in results].count(Unavailable) == 7
    assert (await hasher.verify(PASSWORD, None)) == (False, None), "room again"
    hasher.close()


async def test_who_leaves_makes_room():
    hasher = Hasher(1, waiting=5)
    waiting = [asyncio.create_task(hasher.verify(PASSWORD, None)) for _ in range(6)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    results = await asyncio.gather(*(hasher.verify(PASSWORD, None) for _ in range(6)))
    assert results == [(False, None)] * 6
    hasher.close()


class Heart:
    """Beats on the event loop, and tells how often it was held up for as long as a hash takes."""

    def __init__(self) -> None:
        self.beats = 0

    async def beat(self) -> None:
        while True:
            self.beats += 1
            await asyncio.sleep(0)


@pytest.mark.parametrize("work", ["create", "sign_in", "wrong", "unknown", "register", "forgot", "reset", "change"])
async def test_nothing_hashes_on_the_event_loop(people: People, work: str):
    """fastapi-users would: in create, authenticate, forgot_password and reset_password."""
    ann = await people.person()
    await people.accounts.forgot("ann@example.org")
    token = await people.link()
    people.hasher.threads.clear()
    heart = Heart()
    beating = asyncio.create_task(heart.beat())
    works = {
        "create": lambda: people.accounts.create(ann, "bob@example.org"),
        "sign_in": people.enter,
        "wrong": lambda: people.enter(password="something wrong"),
        "unknown": lambda: people.enter("nobody@example.org"),
        "register": lambda: people.accounts.register("cat@example.org", OTHER),
        "forgot": lambda: people.accounts.forgot("ann@example.org"),
        "reset": lambda: people.accounts.reset_password(token, OTHER),
        "change": lambda: people.accounts.change_password(ann, PASSWORD, OTHER),
    }
    await works[work]()
    beating.cancel()
    assert threading.get_ident() not in people.hasher.threads
    assert bool(people.hasher.threads) == (work not in {"create", "forgot"})
    assert heart.beats > 3


async def test_the_library_is_given_no_password_to_hash(sqlite_url):
    """Whoever forgets to hash before finds out at once, and not by a slow service."""
    database = Database(sqlite_url)
    async with database.read() as session:
        users = Users(session, secret="s")
        with pytest.raises(ValueError, match="hashed before"):
            users.password_helper.hash(PASSWORD)
        with pytest.raises(NotImplementedError):
            await users.forgot_password(None)
        with pytest.raises(NotImplementedError):
            users.password_helper.generate()
    await database.close()


def test_of_the_library_we_use_the_kernel_alone():
    """Its routers enumerate addresses and change passwords unasked, its strategies know no end of a session."""
    kernel = {"fastapi_users", "fastapi_users.exceptions", "fastapi_users.jwt", "fastapi_users.schemas"}
    adapters = {"fastapi_users_db_sqlalchemy"}
    used = {module for path in sources() for level, module, _ in imported(path) if level == 0}
    assert {module for module in used if module.startswith("fastapi_users")} == kernel | adapters


def test_a_link_is_found():
    assert token_of("see http://x/reset?token=a.b-c_d now") == "a.b-c_d"
