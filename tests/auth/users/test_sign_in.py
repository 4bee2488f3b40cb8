"""Signing in: one answer for whoever is refused, tries counted before they are checked, steps for more factors."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import text

from codelab.auth.users import windows
from codelab.auth.users.hashing import NEVER
from codelab.auth.users.lockout import Attempts, Verdict
from codelab.auth.users.sign_in import REFUSED, SignIn
from codelab.core.errors import ConfigError, Unavailable
from codelab.core.settings_auth import LockoutSettings
from codelab.store.engine import Database
from codelab.store.models import AuditRow, SessionRow, UserRow
from tests.support.people import ELSEWHERE, HOME, OTHER, PASSWORD, ROOT, People, open_people

ANN = "ann@example.org"


@pytest.fixture
async def limited(database_url: str):
    database = Database(database_url)
    async with open_people(database, attempts=5, attempts_per_account=12, attempts_per_address=200) as people:
        yield people
    await database.close()


async def refusals(people: People) -> list[tuple[str, str, str | None]]:
    await people.settle()
    kinds = {"auth.sign_in_failed", "auth.locked_out"}
    return [(r.type, r.details["reason"], r.subject) for r in await people.rows(AuditRow) if r.type in kinds]


async def make(people: People, who: str) -> tuple[str, str]:
    """Somebody who is to be refused: their address, and what they type."""
    if who == "unknown":
        return "nobody@example.org", PASSWORD
    if who == "no address":
        return "not an address", PASSWORD
    if who == "no password":
        await people.accounts.create(ROOT, ANN)
        return ANN, PASSWORD
    if who == "not confirmed":
        await people.accounts.register(ANN, PASSWORD)
        return ANN, PASSWORD
    ann = await people.person()
    if who == "disabled":
        await people.accounts.disable(ROOT, ann.user_id)
    if who == "locked":
        for _ in range(100):
            await people.attempts.take(ANN, HOME.address)
    return ANN, "something wrong" if who == "wrong" else PASSWORD


WHO = ["unknown", "no address", "no password", "not confirmed", "wrong", "locked", "disabled"]


@pytest.mark.parametrize("who", WHO)
async def test_whoever_is_refused_gets_one_answer_for_one_hash(people: People, who):  # attack 23, the person's part
    email, password = await make(people, who)
    people.hasher.asked.clear()
    assert await people.enter(email, password) is REFUSED
    assert await people.sign_in.check(email, password, HOME) is None
    assert len(people.hasher.asked) == 2, "one for each"
    assert await people.rows(SessionRow) == []


@pytest.mark.parametrize(
    ("who", "reason", "known"),
    [
        ("unknown", "unknown", False),
        ("wrong", "wrong", True),
        ("disabled", "disabled", True),
        ("locked", "locked", True),
    ],
)
async def test_why_is_for_the_audit_trail_alone(people: People, who, reason, known):
    email, password = await make(people, who)
    await people.enter(email, password)
    kind = "auth.locked_out" if who == "locked" else "auth.sign_in_failed"
    ((found, said, subject),) = await refusals(people)
    assert (found, said, subject is not None) == (kind, reason, known)
    (row,) = [r for r in await people.rows(AuditRow) if r.type == kind]
    assert (row.address, password in repr(vars(row)), email in repr(vars(row))) == (HOME.address, False, False)


async def test_who_comes_in_has_a_session_that_says_how(both: People):
    ann = await both.person()
    step = await both.enter(" ANN@example.org ")
    assert (step.state, step.amr, step.acr, step.needs) == ("done", ("pwd",), "1", None)
    session = await both.sessions.verify(step.session)
    assert (session.user_id, session.proof.amr, session.proof.auth_time) == (ann.user_id, ("pwd",), both.time())
    (user,) = await both.rows(UserRow)
    assert user.last_sign_in_at == both.time()
    assert [row.details["amr"] for row in await both.rows(AuditRow) if row.type == "auth.signed_in"] == [["pwd"]]


async def test_a_weak_hash_is_made_stronger_at_sign_in(people: People):
    ann = await people.person()
    weak = Argon2Hasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
    await people.change(UserRow, ann.user_id, hashed_password=weak)
    assert (await people.enter()).state == "done"
    (user,) = await people.rows(UserRow)
    assert user.hashed_password.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await people.enter()).state == "done"


async def test_a_database_that_is_gone_is_said_to_be(people: People):
    async with people.database.transaction() as session:
        await session.execute(text("ALTER TABLE users RENAME TO elsewhere"))
    with pytest.raises(Unavailable):
        await people.enter()


# Steps


def stepped(people: People) -> SignIn:
    """A sign-in that asks for a code as well."""
    return SignIn(
        database=people.database,
        hasher=people.hasher,
        attempts=people.attempts,
        sessions=people.sessions,
        audit=people.audit,
        needs=lambda _user, amr: None if "otp" in amr else "otp",
        now=people.time,
    )


async def test_a_pending_sign_in_is_nobody_yet(people: People):
    await people.person()
    sign_in = stepped(people)
    step = await sign_in.begin(ANN, PASSWORD, HOME)
    assert (step.state, step.amr, step.needs, step.session) == ("pending", ("pwd",), "otp", None)
    assert await people.rows(SessionRow) == []
    assert await sign_in.check(ANN, PASSWORD, HOME) is None, "a password alone gets no token, either"


async def test_a_person_who_is_disabled_between_two_steps_is_refused(people: People):
    """The password was right; by the time the session would begin it is another, or they may not come in."""
    ann = await people.person()
    for change in ({"is_active": False}, {"password_changed_at": None}):
        user = await people.sign_in.check(ANN, PASSWORD, HOME)
        before = {name: getattr(user, name) for name in change}
        await people.change(UserRow, ann.user_id, **change)
        assert await people.sign_in._advance(user, ("pwd",), HOME, None) is REFUSED
        await people.change(UserRow, ann.user_id, **before)


# Lock-out


async def test_parallel_guesses_are_no_more_than_those_one_by_one(limited: People):  # attack 26
    await limited.person()
    await asyncio.gather(*(limited.enter(password=f"guess number {n}") for n in range(50)))
    real = [stored for stored in limited.hasher.asked if stored is not None]
    assert (len(real), len(limited.hasher.asked)) == (5, 50)
    assert (await limited.enter()).state == "refused", "the right one, too, until the window ends"
    limited.time.tick(899)
    assert (await limited.enter()).state == "refused"
    limited.time.tick(2)
    assert (await limited.enter()).state == "done"
    assert [kind for kind, _, _ in await refusals(limited)].count("auth.locked_out") == 1


async def test_one_address_locks_nobody_out_elsewhere(limited: People):  # attack 26
    await limited.person()
    for _ in range(50):
        await limited.enter(password="a guess at it", origin=ELSEWHERE)
    assert (await limited.enter(origin=ELSEWHERE)).state == "refused"
    assert (await limited.enter(origin=HOME)).state == "done"


async def test_many_addresses_together_wear_an_account_out(limited: People):
    await limited.person()
    for n in range(20):
        await limited.enter(password="a guess at it", origin=replace(HOME, address=f"203.0.113.{n}"))
    assert len([stored for stored in limited.hasher.asked if stored is not None]) == 12


async def test_one_address_cannot_try_everybody():
    attempts = Attempts(LockoutSettings(attempts=5, attempts_per_address=10))
    verdicts = [await attempts.take(f"somebody{n}@example.org", "192.0.2.9") for n in range(20)]
    assert verdicts == [Verdict.FREE] * 10 + [Verdict.LOCKED] + [Verdict.STILL_LOCKED] * 9
    assert await attempts.take("somebody@example.org", "192.0.2.10") is Verdict.FREE


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("", "unix", True),
    ],
    ids=["network", "networks", "mapped", "two", "none"],
)
async def test_whose_address_it_is(one, other, same):
    attempts = Attempts(LockoutSettings(attempts=1))
    assert await attempts.take(ANN, one) is Verdict.FREE
    assert (await attempts.take(ANN, other) is Verdict.FREE) is not same


async def test_the_right_password_forgives_the_wrong_ones(limited: People):
    await limited.person()
    for _ in range(2):
        for _ in range(4):
            assert (await limited.enter(password="a typo in it")).state == "refused"
        assert (await limited.enter()).state == "done"


async def test_an_account_is_one_however_it_is_written():
    attempts = Attempts(LockoutSettings(attempts=3))
    spellings = itertools.cycle((ANN, ANN.upper(), f" {ANN}"))
    verdicts = [await attempts.take(next(spellings), "192.0.2.1") for _ in range(6)]
    assert verdicts.count(Verdict.FREE) == 3


async def test_a_window_moves_and_is_bounded(monkeypatch):
    monkeypatch.setattr(windows, "MOST", 10)
    now = [0.0]
    counts = windows.Windows(10, lambda: now[0])
    assert [counts.hit("a", 2) for _ in range(3)] == [True, True, False]
    now[0] = 9.9
    assert not counts.hit("a", 2)
    now[0] = 10.0
    assert counts.hit("a", 2)
    for n in range(100):
        counts.hit(f"key {n}", 1)
    assert len(counts._times) == 10
    now[0] = 100.0
    counts.hit("last", 1)
    assert list(counts._times) == ["last"]


def test_nobody_has_a_password_by_accident():
    assert NEVER not in "$argon2id$"
    with pytest.raises(ConfigError):
        Attempts(LockoutSettings(), "not a url")


async def test_the_password_is_wrong_after_it_was_changed(people: People):
    ann = await people.person()
    assert await people.accounts.change_password(ann, PASSWORD, OTHER, HOME)
    assert (await people.enter()).state == "refused"
