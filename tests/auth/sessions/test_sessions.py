"""Browser sessions: begun, checked, ended; what is kept of them; what forms carry."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import event, text

from codelab.auth.seams import Origin, Proof
from codelab.auth.sessions import known
from codelab.auth.sessions.csrf import check_csrf, csrf_of
from codelab.auth.sessions.secret import digest_of, new_token
from codelab.auth.sessions.service import noting
from codelab.core.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from codelab.core.types import Principal
from codelab.store.engine import Database
from codelab.store.models import AuditRow, SessionRow, UserRow
from tests.support.people import ELSEWHERE, HOME, PASSWORD, People


async def user_of(people: People, principal: Principal) -> UserRow:
    async with people.database.read() as session:
        return await session.get_one(UserRow, principal.user_id)


async def start(people: People, principal: Principal, origin: Origin = HOME, *, previous: str | None = None) -> str:
    user = await user_of(people, principal)
    return await people.sessions.start(user, Proof(auth_time=people.time()), origin, previous=previous)


async def as_session(people: People, principal: Principal, token: str) -> Principal:
    session = await people.sessions.verify(token)
    return Principal(principal.user_id, principal.tenant_id, scopes=principal.scopes, session_id=session.id)


class Statements:
    """Counts what is asked of the database."""

    def __init__(self, database: Database) -> None:
        self.count = 0
        event.listen(database.engine.sync_engine, "before_cursor_execute", self._note)

    def _note(self, *_: object) -> None:
        self.count += 1


async def test_a_cookie_is_random_and_only_its_hash_is_kept(people: People):
    ann = await people.person()
    one, two = await start(people, ann), await start(people, ann)
    assert one != two
    assert len(one) == 43
    rows = await people.rows(SessionRow)
    assert {row.digest for row in rows} == {digest_of(one), digest_of(two)}
    assert not [row for row in rows if one in repr(vars(row)) or two in repr(vars(row))]


async def test_the_old_cookie_is_dead_after_sign_in(both: People):  # attack 16
    await both.person()
    old = (await both.enter()).session
    assert await both.sessions.verify(old)
    new = (await both.sign_in.begin("ann@example.org", PASSWORD, HOME, old)).session
    assert await both.sessions.verify(old) is None
    assert await both.sessions.verify(new)
    assert old != new


async def test_a_cookie_that_somebody_brought_along_is_never_used(people: People):  # attack 16
    ann = await people.person()
    planted = new_token()
    token = await start(people, ann, previous=planted)
    assert token != planted
    assert await people.sessions.verify(planted) is None


@pytest.mark.parametrize(
    "value", ["", "x", "x" * 43, "ж" * 43, "x" * 10_000], ids=["none", "short", "no", "odd", "long"]
)
async def test_what_is_no_cookie_of_ours_is_nobodys(people: People, value):
    assert await people.sessions.verify(value) is None


async def test_a_session_is_over_when_it_was_not_used(people: People):
    ann = await people.person()
    token = await start(people, ann)
    for _ in range(3):
        people.time.tick(hours=24 * 7 - 1)
        assert await people.sessions.verify(token), "use keeps it"
        await people.sessions.note()
    people.time.tick(hours=24 * 7)
    assert await people.sessions.verify(token) is None
    assert await people.sessions.list(ann) == []


async def test_no_use_keeps_a_session_for_ever(people: People):
    ann = await people.person()
    token = await start(people, ann)
    for _ in range(29):
        people.time.tick(days=1)
        assert await people.sessions.verify(token)
        await people.sessions.note()
    people.time.tick(days=1)
    assert await people.sessions.verify(token) is None


async def test_a_session_is_over_on_time_while_it_is_remembered(people: People):
    token = await start(people, await people.person())
    people.time.tick(days=30, seconds=-1)
    await people.change(SessionRow, (await people.rows(SessionRow))[0].id, last_seen_at=people.time())
    assert await people.sessions.verify(token)
    people.time.tick(1)
    assert await people.sessions.verify(token) is None


async def test_checking_asks_the_database_every_two_seconds(people: People):
    token = await start(people, await people.person())
    asked = Statements(people.database)
    for _ in range(10):
        assert await people.sessions.verify(token)
    once = asked.count
    people.time.tick(known.FRESH_S)
    await people.sessions.verify(token)
    assert asked.count == 2 * once


async def test_what_another_process_ended_is_over_within_two_seconds(people: People):
    token = await start(people, await people.person())
    assert await people.sessions.verify(token)
    (row,) = await people.rows(SessionRow)
    await people.change(SessionRow, row.id, revoked_at=people.time())
    people.time.tick(known.FRESH_S)
    assert await people.sessions.verify(token) is None


async def test_what_this_process_ended_is_over_at_once(people: People):
    ann = await people.person()
    token = await start(people, ann)
    here = await as_session(people, ann, token)
    await people.sessions.revoke(here, str(here.session_id), HOME)
    assert await people.sessions.verify(token) is None
    await people.sessions.revoke(here, str(here.session_id), HOME)
    assert people.revocations.is_revoked({"sid": here.session_id, "sub": ann.user_id, "client_id": "c", "iat": 0})
    entries = [row for row in await people.rows(AuditRow) if row.type == "auth.signed_out"]
    assert [(row.owner_id, row.subject) for row in entries] == [(ann.user_id, f"session:{here.session_id}")]


async def test_a_check_under_way_does_not_bring_an_ended_session_back(people: People):
    """It had read the row before the end was written."""
    ann = await people.person()
    token = await start(people, ann)
    here = await as_session(people, ann, token)
    people.time.tick(known.FRESH_S)
    digest, forgotten = digest_of(token), people.sessions._known.forgotten
    session = await people.sessions._look(digest)
    await people.sessions.revoke(here, str(here.session_id))
    people.sessions._known.remember(digest, session, forgotten=forgotten)
    assert await people.sessions.verify(token) is None


async def test_sessions_are_listed_and_ended_by_their_person_alone(both: People):
    ann, bob = await both.person(), await both.person("bob@example.org")
    one = await start(both, ann)
    both.time.tick(1)
    await start(both, ann, ELSEWHERE)
    here = await as_session(both, ann, one)
    listed = await both.sessions.list(here)
    assert [(found.address, found.current) for found in listed] == [(ELSEWHERE.address, False), (HOME.address, True)]
    with pytest.raises(NotFound):
        await both.sessions.revoke(bob, listed[0].id)
    with pytest.raises(NotFound):
        await both.sessions.revoke(Principal(ann.user_id, "elsewhere"), listed[0].id)
    assert await both.sessions.revoke_others(here, HOME) == 1
    assert [found.current for found in await both.sessions.list(here)] == [True]
    await both.sessions.sign_out(one, HOME)
    assert await both.sessions.list(ann) == []
    await both.sessions.sign_out(one, HOME)


async def test_the_oldest_gives_way(both: People):
    ann = await both.person()
    both.sessions._settings.sessions_per_user = 3
    tokens = []
    for _ in range(5):
        both.time.tick(1)
        tokens.append(await start(both, ann))
    assert [await both.sessions.verify(token) is not None for token in tokens] == [False, False, True, True, True]


async def test_parallel_sign_ins_keep_to_the_number(both: People):
    ann = await both.person()
    both.sessions._settings.sessions_per_user = 3
    await asyncio.gather(*(start(both, ann) for _ in range(8)))
    assert len(await both.sessions.list(ann)) == 3


async def test_no_session_begins_with_a_password_of_before(people: People):
    ann = await people.person()
    user = await user_of(people, ann)
    people.time.tick(1)
    await people.change(UserRow, ann.user_id, password_changed_at=people.time())
    with pytest.raises(Unauthenticated):
        await people.sessions.start(user, Proof(auth_time=people.time()), HOME)


async def test_use_is_written_at_most_once_a_minute_and_never_by_a_request(both: People):
    ann = await both.person()
    token = await start(both, ann)
    await both.sessions.verify(token)
    asked = Statements(both.database)
    both.time.tick(1)
    for _ in range(10):
        await both.sessions.verify(token)
    assert asked.count == 0
    before = (await both.rows(SessionRow))[0].last_seen_at
    await both.sessions.note()
    assert (await both.rows(SessionRow))[0].last_seen_at == both.time() > before
    asked.count = 0
    await both.sessions.note()
    assert asked.count == 0
    both.time.tick(1)
    async with noting(both.sessions):
        await both.sessions.verify(token)
    assert (await both.rows(SessionRow))[0].last_seen_at == both.time(), "and at the end"


async def test_what_is_over_is_deleted(both: People):
    ann = await both.person()
    token = await start(both, ann)
    await both.sessions.sign_out(token, HOME)
    await start(both, ann)
    assert await both.sessions.trim() == 0
    both.time.tick(days=1, seconds=1)
    assert await both.sessions.trim() == 1
    both.time.tick(days=8)
    assert await both.sessions.trim() == 1
    assert await both.rows(SessionRow) == []


async def test_a_browser_says_only_so_much_of_itself(people: People):
    ann = await people.person()
    await start(people, ann, Origin(address="192.0.2.1", user_agent="x" * 5000))
    assert len((await people.rows(SessionRow))[0].user_agent) == 200


async def test_a_database_that_is_gone_is_no_sign_out(people: People):
    token = await start(people, await people.person())
    async with people.database.transaction() as session:
        await session.execute(text("ALTER TABLE sessions RENAME TO elsewhere"))
    with pytest.raises(Unavailable):
        await people.sessions.verify(token)


# Forms


def test_a_form_carries_what_follows_from_its_cookie():
    token = new_token()
    assert len(csrf_of(token)) == 64
    assert token not in csrf_of(token)
    check_csrf(token, csrf_of(token))


@pytest.mark.parametrize("given", ["", "x", csrf_of("another"), "ж\ud800"], ids=["none", "no", "others", "odd"])
def test_a_form_of_somebody_else_is_refused(given):
    with pytest.raises(Forbidden) as refused:
        check_csrf("mine", given)
    assert refused.value.code == "csrf_failed"


def test_without_a_cookie_no_form_is_ours():
    with pytest.raises(Forbidden):
        check_csrf("", csrf_of(""))
