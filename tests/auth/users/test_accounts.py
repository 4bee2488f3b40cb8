"""What people do with their own account: what strangers learn is nothing, links are good once, everybody is told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from urllib.parse import urlsplit

import jwt
import pytest

from codelab.auth.users.manager import derive
from codelab.core.errors import Forbidden, InvalidInput
from codelab.core.types import Principal, new_id
from codelab.store.engine import Database
from codelab.store.models import OAuthClientRow, SessionRow, TokenFamilyRow, UserRow
from tests.support.identity import ISSUER
from tests.support.people import ELSEWHERE, HOME, OTHER, PASSWORD, ROOT, People, open_people, token_of

ANN, BOB = "ann@example.org", "bob@example.org"


async def family(people: People, user_id: str) -> str:
    """What a client has of somebody."""
    key, now = new_id(), people.time()
    async with people.database.transaction() as session:
        session.add(
            OAuthClientRow(
                id="web", name="Web", auth_method="none", redirect_uris=[], grant_types=[], scopes=[], audiences=[],
                first_party=False, dynamic=False, created_at=now, owner_id="", tenant_id="default",
            )
        )  # fmt: skip
        await session.flush()
        session.add(
            TokenFamilyRow(
                id=key, client_id="web", user_id=user_id, scope="", amr=["pwd"], acr="1", auth_time=now,
                created_at=now, last_used_at=now, expires_at=now, owner_id=user_id, tenant_id="default",
            )
        )  # fmt: skip
    return key


# Registration


async def test_whoever_registers_may_come_in_once_the_address_is_theirs(both: People):
    await both.accounts.register(" Ann@Example.org", PASSWORD, name="Ann")
    assert (await both.enter()).state == "refused"
    token = await both.link()
    assert (await both.accounts.verify(token)).email == ANN
    assert (await both.enter()).state == "done"
    (user,) = await both.rows(UserRow)
    assert (user.owner_id, user.tenant_id, user.name, user.is_superuser) == (user.id, "default", "Ann", False)
    assert await both.roles.of_people(ROOT, [user.id]) == {user.id: ["member"]}
    assert await both.accounts.verify(token) is None, "good once"


async def test_a_known_address_gets_the_same_answer_and_its_mailbox_is_told(people: People):
    """fastapi-users answers REGISTER_USER_ALREADY_EXISTS."""
    await people.person()
    before = (await people.rows(UserRow))[0].hashed_password
    assert await people.accounts.register(ANN, OTHER) is await people.accounts.register(BOB, OTHER)
    await people.settle()
    assert (people.mails.to(ANN), people.mails.to(BOB)) == (["you have an account already"], ["confirm your address"])
    assert (await people.rows(UserRow))[0].hashed_password == before
    assert people.hasher.hashed == 3, "once each, and once for the fixture"


async def test_nobody_prepares_an_account_for_somebody_elses_address(people: People):
    """Who registered an address first, and could not confirm it, has nothing of who registers it next."""
    await people.accounts.register(ANN, "the attacker's own words")
    theirs = await people.link()
    await people.accounts.register(ANN, PASSWORD)
    mine = await people.link()
    assert await people.accounts.verify(theirs) is None
    assert await people.accounts.verify(mine)
    assert (await people.enter(password="the attacker's own words")).state == "refused"
    assert (await people.enter()).state == "done"


async def test_an_account_that_nobody_confirmed_is_deleted_in_the_end(people: People):
    await people.person()
    await people.accounts.register(BOB, OTHER)
    assert await people.accounts.trim() == 0
    people.time.tick(days=8)
    assert await people.accounts.trim() == 1
    assert [user.email for user in await people.rows(UserRow)] == [ANN]


async def test_parallel_registrations_make_one_account(both: People):
    await asyncio.gather(*(both.accounts.register(ANN, PASSWORD) for _ in range(5)))
    assert len(await both.rows(UserRow)) == 1


@pytest.mark.parametrize("weak", ["1", "password", "ann@example.org"], ids=["one", "common", "own"])
async def test_a_weak_password_is_refused_for_every_address(people: People, weak):
    await people.person()
    answers = []
    for email in (ANN, "new@example.org"):
        with pytest.raises(InvalidInput) as refused:
            await people.accounts.register(email, weak if weak != ANN else email)
        answers.append((refused.value.code, refused.value.message))
    assert answers[0] == answers[1]


async def test_registration_is_off_unless_it_is_turned_on(sqlite_url):
    database = Database(sqlite_url)
    for how in ("off", "invite"):
        async with open_people(database, registration=how) as people:
            with pytest.raises(Forbidden):
                await people.accounts.register(ANN, PASSWORD)
            assert await people.rows(UserRow) == []
    await database.close()


async def test_whoever_lost_the_mail_confirms_with_another_password(people: People):
    await people.accounts.register(ANN, PASSWORD)
    await people.accounts.forgot(ANN)
    person = await people.accounts.reset_password(await people.link(), OTHER)
    assert person.is_verified
    assert (await people.enter(password=OTHER)).state == "done"


async def test_a_link_that_was_handed_over_confirms_nothing(people: People):
    """An administrator's printed link has not been to the mailbox."""
    await people.accounts.register(ANN, PASSWORD)
    (user,) = await people.rows(UserRow)
    link = await people.accounts.reset_link(ROOT, user.id)
    assert not (await people.accounts.reset_password(token_of(link), OTHER)).is_verified


# Forgotten passwords


async def test_a_reset_link_is_good_once_and_ends_everything(both: People):
    ann = await both.person()
    session = (await both.enter()).session
    key = await family(both, ann.user_id)
    await both.accounts.forgot(ANN)
    token = await both.link()
    assert await both.accounts.reset_password(token, OTHER)
    assert await both.accounts.reset_password(token, PASSWORD) is None
    assert await both.sessions.verify(session) is None
    (row,) = [row for row in await both.rows(TokenFamilyRow) if row.id == key]
    assert (row.revoked_at, row.reason) == (both.time(), "password_reset")
    claims = {"sub": ann.user_id, "client_id": "web", "iat": both.time.seconds() - 1}
    assert both.revocations.is_revoked(claims), "access tokens die, too"
    assert (await both.enter(password=OTHER)).state == "done"
    assert (await both.enter()).state == "refused"
    assert both.mails.to(ANN) == ["choose a password", "your password was changed"]


async def test_one_link_used_in_parallel_is_used_once(both: People):
    await both.person()
    await both.accounts.forgot(ANN)
    token = await both.link()
    words = [f"{number} sentences in a row" for number in range(4)]
    done = await asyncio.gather(*(both.accounts.reset_password(token, word) for word in words))
    assert len([person for person in done if person]) == 1


async def test_strangers_learn_nothing_from_forgot(people: People):
    """Unknown, disabled, no address at all: the same answer, and no mail."""
    ann = await people.person()
    await people.accounts.disable(ROOT, ann.user_id)
    for email in (ANN, "nobody@example.org", "no address"):
        assert await people.accounts.forgot(email) is None
    await people.settle()
    assert people.mails.sent == []


async def test_a_mail_that_does_not_leave_changes_no_answer(people: People, caplog):
    await people.person()
    people.mails.down = True
    assert await people.accounts.forgot(ANN) is None
    await people.settle()
    assert ANN not in caplog.text


async def test_nobody_floods_a_mailbox(people: People):
    await people.person()
    for _ in range(30):
        await people.accounts.forgot(ANN, origin=HOME)
    await people.settle()
    assert len(people.mails.sent) == 5
    people.time.tick(901)
    await people.accounts.forgot(ANN, origin=HOME)
    await people.settle()
    assert len(people.mails.sent) == 6


async def test_links_lead_to_the_issuer(people: People):
    """Nothing of a request reaches them: there is no Host header to poison."""
    await people.person()
    await people.accounts.forgot(ANN)
    await people.accounts.register(BOB, OTHER)
    await people.settle()
    links = [word for mail in people.mails.sent for word in mail["text"].split() if "://" in word]
    assert {f"{urlsplit(link).scheme}://{urlsplit(link).netloc}" for link in links} == {ISSUER}


def forged(**changes):
    facts = {"sub": "x", "email": ANN, "password_fgpt": "x", "aud": "fastapi-users:reset", "exp": 4_000_000_000}
    return {**facts, **changes}


OTHERS = ("", "a guess that is long enough to be a key of theirs", derive("a secret of the service", "verify"))


@pytest.mark.parametrize("secret", OTHERS, ids=["none", "guess", "other"])
async def test_a_link_that_somebody_else_signed_is_none(people: People, secret):
    ann = await people.person()
    token = jwt.encode(forged(sub=ann.user_id), secret or None, algorithm="HS256" if secret else "none")
    assert await people.accounts.reset_password(token, OTHER) is None
    assert await people.accounts.verify(token) is None


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "\ud800"], ids=["empty", "short", "dots", "surrogate"])
async def test_what_is_no_link_is_none(people: People, token):
    assert await people.accounts.reset_password(token, OTHER) is None
    assert await people.accounts.verify(token) is None


async def test_a_link_for_one_purpose_is_good_for_no_other(people: People):
    await people.person()
    await people.accounts.forgot(ANN)
    reset = await people.link()
    assert await people.accounts.verify(reset) is None
    await people.accounts.register(BOB, OTHER)
    assert await people.accounts.reset_password(await people.link(), PASSWORD) is None


async def test_a_weak_password_does_not_use_the_link_up(people: People):
    await people.person()
    await people.accounts.forgot(ANN)
    token = await people.link()
    for weak in ("short", ANN):
        with pytest.raises(InvalidInput):
            await people.accounts.reset_password(token, weak)
    assert await people.accounts.reset_password(token, OTHER)


async def test_a_disabled_person_cannot_use_a_link(people: People):
    ann = await people.person()
    await people.accounts.forgot(ANN)
    token = await people.link()
    await people.accounts.disable(ROOT, ann.user_id)
    assert await people.accounts.reset_password(token, OTHER) is None


# Changes


async def test_a_password_is_changed_with_the_old_one_alone(both: People):
    """fastapi-users' PATCH /users/me asks for nothing."""
    ann = await both.person()
    here, there = (await both.enter()).session, (await both.enter(origin=ELSEWHERE)).session
    assert await both.accounts.change_password(ann, "not the old one", OTHER, HOME) is None
    assert (await both.enter()).state == "done"
    key = await family(both, ann.user_id)
    new = await both.accounts.change_password(ann, PASSWORD, OTHER, HOME)
    assert await both.sessions.verify(new)
    assert [await both.sessions.verify(old) for old in (here, there)] == [None, None]
    (row,) = [row for row in await both.rows(TokenFamilyRow) if row.id == key]
    assert row.reason == "password_changed"
    await both.settle()
    assert both.mails.to(ANN) == ["your password was changed"]


async def test_the_old_password_cannot_be_guessed_in_a_stolen_session(sqlite_url):
    database = Database(sqlite_url)
    async with open_people(database, attempts=3) as people:
        ann = await people.person()
        for _ in range(5):
            assert await people.accounts.change_password(ann, "a guess at it", OTHER, HOME) is None
        assert await people.accounts.change_password(ann, PASSWORD, OTHER, HOME) is None
        assert len([stored for stored in people.hasher.asked if stored]) == 3
    await database.close()


async def test_an_address_changes_when_the_new_one_is_confirmed(both: People):
    ann = await both.person()
    assert not await both.accounts.change_email(ann, BOB, "not the password", HOME)
    assert await both.accounts.change_email(ann, " Bob@example.org", PASSWORD, HOME)
    await both.settle()
    (confirm,) = [mail["text"] for mail in both.mails.sent if mail["to"] == BOB]
    assert both.mails.to(ANN) == ["your address is to be changed"]
    assert (await both.enter()).state == "done", "until then the old one counts"
    assert (await both.accounts.verify(token_of(confirm))).email == BOB
    await both.settle()
    assert both.mails.to(ANN)[-1] == "your address was changed"
    assert ((await both.enter()).state, (await both.enter(BOB)).state) == ("refused", "done")
    assert await both.accounts.verify(token_of(confirm)) is None


async def test_a_taken_address_is_not_told(people: People):
    ann = await people.person()
    await people.person(BOB)
    assert await people.accounts.change_email(ann, BOB, PASSWORD, HOME)
    await people.settle()
    assert people.mails.to(BOB) == ["this address has an account already"]


async def test_two_people_cannot_get_one_address(both: People):
    ann, bob = await both.person(), await both.person(BOB)
    for principal in (ann, bob):
        await both.accounts.change_email(principal, "new@example.org", PASSWORD, HOME)
    await both.settle()
    tokens = [token_of(mail["text"]) for mail in both.mails.sent if mail["to"] == "new@example.org"]
    done = await asyncio.gather(*(both.accounts.verify(token) for token in tokens))
    assert len(done) == 2
    assert len([person for person in done if person]) == 1


@pytest.mark.parametrize("then", ["password", "email"])
async def test_a_link_dies_with_what_it_was_made_for(people: People, then):
    """A reset link in the old mailbox, once the address is another; a confirmation, once the password is."""
    ann = await people.person()
    await people.accounts.forgot(ANN)
    reset = await people.link()
    await people.accounts.change_email(ann, BOB, PASSWORD, HOME)
    await people.settle()
    (confirm,) = [token_of(mail["text"]) for mail in people.mails.sent if mail["to"] == BOB]
    if then == "email":
        assert await people.accounts.verify(confirm)
        assert await people.accounts.reset_password(reset, OTHER) is None
    else:
        assert await people.accounts.reset_password(reset, OTHER)
        assert await people.accounts.verify(confirm) is None


async def test_mails_are_in_the_readers_language(people: People):
    await people.person()
    await people.accounts.forgot(ANN, origin=replace(HOME, lang="ru"))
    await people.settle()
    assert people.mails.to(ANN) == ["задайте пароль"]


async def test_a_person_is_renamed(people: People):
    ann = await people.person()
    assert (await people.accounts.rename(ann, " Анна ")).name == "Анна"
    for bad in ("x" * 101, "two\nlines"):
        with pytest.raises(InvalidInput):
            await people.accounts.rename(ann, bad)


async def test_sessions_are_rows_without_the_cookies_value(people: People):
    ann = await people.person()
    token = (await people.enter()).session
    (row,) = await people.rows(SessionRow)
    assert (row.user_id, token in repr(vars(row))) == (ann.user_id, False)
    assert isinstance(ann, Principal)
