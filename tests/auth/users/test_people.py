"""Accounts as administrators see them, the first one, and invitations."""

from __future__ import annotations

import asyncio

import pytest

from codelab.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from codelab.core.permissions import ALL
from codelab.core.types import Principal, new_id
from codelab.store.engine import Database
from codelab.store.models import ApiKeyRow, AuditRow, InviteRow, SessionRow, UserRoleRow, UserRow
from tests.support.people import HOME, OTHER, PASSWORD, ROOT, People, open_people, token_of

ANN, BOB = "ann@example.org", "bob@example.org"
STRANGER = Principal("stranger", "elsewhere", scopes=ALL)


async def test_an_administrator_makes_an_account(both: People):
    made = await both.accounts.create(ROOT, " Ann@Example.org", name="Ann", roles=["viewer"])
    assert (made.person.email, made.person.is_verified, made.person.password_changed_at) == (ANN, True, None)
    assert (await both.enter(password="")).state == "refused"
    await both.settle()
    assert (both.mails.to(ANN), token_of(both.mails.sent[0]["text"])) == (["your account"], token_of(made.link))
    assert await both.accounts.reset_password(token_of(made.link), PASSWORD)
    assert (await both.enter()).state == "done"
    assert (await both.roles.of_people(ROOT, [made.person.id]))[made.person.id] == ["viewer"]
    with pytest.raises(Conflict):
        await both.accounts.create(ROOT, ANN.upper())


async def test_nobody_gives_more_than_they_hold(people: People):
    limited = Principal("operator", scopes=frozenset({"users:admin"}))
    with pytest.raises(Forbidden):
        await people.accounts.create(limited, BOB, roles=["admin"])
    with pytest.raises(Forbidden):
        await people.accounts.invites.create(limited, BOB, roles=["admin"])
    with pytest.raises(InvalidInput):
        await people.accounts.create(ROOT, BOB, roles=["nonsense"])
    assert await people.rows(UserRow) == []


@pytest.mark.parametrize("act", ["disable", "enable", "delete", "reset_link"])
async def test_nobody_decides_about_themselves_strangers_or_the_mightier(people: People, act):
    ann = await people.person(roles=["admin"])
    bob = await people.person(BOB, roles=["admin"])
    decide = getattr(people.accounts, act)
    with pytest.raises(Forbidden):
        await decide(ann, ann.user_id)
    with pytest.raises(NotFound):
        await decide(STRANGER, ann.user_id)
    with pytest.raises(Forbidden):
        await decide(Principal("operator", scopes=frozenset({"users:admin"})), bob.user_id)
    with pytest.raises(NotFound):
        await decide(ROOT, "nobody")


async def test_whoever_is_disabled_is_out_at_once(both: People):
    ann = await both.person()
    token = (await both.enter()).session
    assert await both.sessions.verify(token)
    assert not (await both.accounts.disable(ROOT, ann.user_id)).is_active
    assert not (await both.accounts.disable(ROOT, ann.user_id)).is_active
    assert await both.sessions.verify(token) is None
    assert both.revocations.is_revoked({"sub": ann.user_id, "client_id": "web", "iat": both.time.seconds()})
    assert (await both.enter()).state == "refused"
    assert (await both.accounts.enable(ROOT, ann.user_id)).is_active
    assert await both.sessions.verify(token) is None
    assert (await both.enter()).state == "done"
    changes = [r.details["change"] for r in await both.rows(AuditRow) if r.type == "auth.user_changed"]
    assert changes[-3:] == ["disabled", "disabled", "enabled"]


async def test_whoever_is_deleted_leaves_nothing_that_lets_in(both: People):
    ann = await both.person()
    token = (await both.enter()).session
    async with both.database.transaction() as session:
        key = ApiKeyRow(id=new_id(), name="k", prefix="sk", digest="d", scopes=[], created_at=both.time())
        key.owner_id, key.tenant_id = ann.user_id, ann.tenant_id
        session.add(key)
    await both.accounts.delete(ROOT, ann.user_id)
    assert await both.sessions.verify(token) is None
    for kind in (UserRow, SessionRow, UserRoleRow):
        assert await both.rows(kind) == []
    assert [row.revoked_at for row in await both.rows(ApiKeyRow)] == [both.time()]
    with pytest.raises(NotFound):
        await both.accounts.get(ROOT, ann.user_id)


@pytest.mark.parametrize("act", ["disable", "delete"])
async def test_the_last_administrator_stays(both: People, act):
    ann, bob = await both.person(roles=["admin"]), await both.person(BOB, roles=["admin"])
    decide = getattr(both.accounts, act)
    await decide(ROOT, ann.user_id)
    with pytest.raises(Conflict) as refused:
        await decide(ROOT, bob.user_id)
    assert refused.value.code == "last_admin"
    assert (await both.enter(BOB)).state == "done"


async def test_two_administrators_cannot_disable_each_other(both: People):
    ann, bob = await both.person(roles=["admin"]), await both.person(BOB, roles=["admin"])
    done = await asyncio.gather(
        both.accounts.disable(ann, bob.user_id), both.accounts.disable(bob, ann.user_id), return_exceptions=True
    )
    assert sorted(isinstance(result, Conflict | Forbidden) for result in done) == [False, True]


async def test_people_are_listed_within_their_tenant(people: People):
    for n in range(5):
        people.time.tick(1)
        await people.accounts.create(ROOT, f"p{n}@example.org")
    first = await people.accounts.list(ROOT, limit=3)
    assert [person.email[:2] for person in first] == ["p0", "p1", "p2"]
    rest = await people.accounts.list(ROOT, limit=3, after=(first[-1].created_at, first[-1].id))
    assert [person.email[:2] for person in rest] == ["p3", "p4"]
    assert await people.accounts.list(STRANGER) == []
    assert "password" not in " ".join(first[0].model_dump()).replace("password_changed_at", "")
    with pytest.raises(NotFound):
        await people.accounts.get(STRANGER, first[0].id)


# The first start


async def test_the_first_start_makes_an_administrator_and_a_link(both: People):
    token = token_of(await both.accounts.ensure_first_admin())
    (user,) = await both.rows(UserRow)
    assert (user.email, user.hashed_password[:1]) == ("admin@localhost", "!")
    assert (await both.roles.of_people(ROOT, [user.id]))[user.id] == ["admin"]
    assert (await both.enter("admin@localhost", "")).state == "refused"
    assert await both.accounts.ensure_first_admin(), "again, until they were here"
    assert await both.accounts.reset_password(token, PASSWORD)
    assert await both.accounts.ensure_first_admin()
    assert (await both.enter("admin@localhost")).state == "done"
    assert await both.accounts.ensure_first_admin() is None
    assert len(await both.rows(UserRow)) == 1


async def test_a_second_start_at_the_same_time_makes_no_second_one(both: People):
    links = await asyncio.gather(*(both.accounts.ensure_first_admin() for _ in range(4)))
    assert len(await both.rows(UserRow)) == 1
    assert all(links)


async def test_where_somebody_is_no_administrator_is_made(people: People):
    await people.person()
    assert await people.accounts.ensure_first_admin() is None
    await people.accounts.register("admin@localhost", OTHER)
    assert await people.accounts.ensure_first_admin() is None, "whoever takes the name gets no link"


# Invitations


@pytest.fixture
async def invited(database_url: str):
    database = Database(database_url)
    async with open_people(database, registration="invite") as people:
        yield people
    await database.close()


async def test_an_invitation_to_an_address_lets_it_in_at_once(invited: People):
    invite = await invited.accounts.invites.create(ROOT, ANN, roles=["viewer"])
    code = await invited.link()
    assert token_of(invite.link) == code
    assert await invited.accounts.invites.is_good(code)
    for email in (BOB, "eve@example.org"):
        with pytest.raises(InvalidInput):
            await invited.accounts.register(email, PASSWORD, invite=code)
    await invited.accounts.register(ANN, PASSWORD, invite=code)
    assert (await invited.enter()).state == "done"
    (user,) = await invited.rows(UserRow)
    assert (await invited.roles.of_people(ROOT, [user.id]))[user.id] == ["viewer"]
    assert not await invited.accounts.invites.is_good(code)


async def test_whoever_has_an_open_invitation_confirms_their_address_first(invited: People):
    code = token_of((await invited.accounts.invites.create(ROOT)).link)
    await invited.accounts.register(ANN, PASSWORD, invite=code)
    assert (await invited.enter()).state == "refused"
    assert await invited.accounts.verify(await invited.link())
    assert (await invited.enter()).state == "done"


async def test_an_invitation_is_good_once_even_in_parallel(invited: People):
    code = token_of((await invited.accounts.invites.create(ROOT)).link)
    tries = (invited.accounts.register(f"p{n}@example.org", PASSWORD, invite=code, origin=HOME) for n in range(5))
    done = await asyncio.gather(*tries, return_exceptions=True)
    assert [type(result) for result in done].count(InvalidInput) == 4
    assert len(await invited.rows(UserRow)) == 1


async def test_an_invitation_does_not_tell_who_has_an_account(invited: People):
    """It is used up by a known address as by a new one."""
    await invited.person(BOB)
    code = token_of((await invited.accounts.invites.create(ROOT)).link)
    await invited.accounts.register(BOB, PASSWORD, invite=code)
    await invited.settle()
    assert invited.mails.to(BOB) == ["you have an account already"]
    with pytest.raises(InvalidInput) as refused:
        await invited.accounts.register(ANN, PASSWORD, invite=code)
    assert refused.value.code == "bad_invite"


@pytest.mark.parametrize("why", ["old", "revoked", "invented", "odd"])
async def test_an_invitation_that_is_no_good(people: People, why):
    invite = await people.accounts.invites.create(ROOT)
    code = {"invented": "x" * 43, "odd": "ж\ud800"}.get(why, token_of(invite.link))
    if why == "old":
        people.time.tick(days=8)
    if why == "revoked":
        await people.accounts.invites.revoke(ROOT, invite.id)
    assert not await people.accounts.invites.is_good(code)
    with pytest.raises(InvalidInput) as refused:
        await people.accounts.register(ANN, PASSWORD, invite=code)
    assert refused.value.code == "bad_invite"


async def test_invitations_are_listed_and_belong_to_a_tenant(people: People):
    invite = await people.accounts.invites.create(ROOT, ANN)
    assert [(found.id, found.email) for found in await people.accounts.invites.list(ROOT)] == [(invite.id, ANN)]
    assert await people.accounts.invites.list(STRANGER) == []
    with pytest.raises(NotFound):
        await people.accounts.invites.revoke(STRANGER, invite.id)
    (row,) = await people.rows(InviteRow)
    assert token_of(invite.link) not in repr(vars(row))


async def test_old_invitations_are_deleted(people: People):
    await people.accounts.invites.create(ROOT, days=1)
    people.time.tick(days=7)
    await people.accounts.trim()
    assert len(await people.rows(InviteRow)) == 1
    people.time.tick(days=2)
    await people.accounts.trim()
    assert await people.rows(InviteRow) == []
