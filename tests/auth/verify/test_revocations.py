"""What was revoked is dead: here with the transaction, in other processes soon. On both databases."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import func, select

from codelab.auth.verify import revocations as module
from codelab.auth.verify.revocations import KEPT, OVERLAP, WHOLE_EVERY, SqlRevocations, open_revocations
from codelab.core.errors import ConfigError
from codelab.store.engine import Database
from codelab.store.models import RevocationRow
from tests.support.tokens import MIDNIGHT, Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def here(database: Database, clock: Clock) -> SqlRevocations:
    return SqlRevocations(database, now=clock.now)


@pytest.fixture
def elsewhere(database: Database, clock: Clock) -> SqlRevocations:
    """What another process knows."""
    return SqlRevocations(database, now=clock.now)


def token(at: float = 0, **more: str) -> dict[str, object]:
    iat = int(MIDNIGHT.timestamp() + at)
    return {"sub": "ann", "client_id": "cli", "jti": "t", "fid": "f", "sid": "s", "iat": iat, **more}


async def revoke(revocations: SqlRevocations, *subjects: str) -> None:
    async with revocations._database.transaction() as session:
        await session.run_sync(partial(revocations.revoke, subjects=subjects))


@pytest.mark.parametrize("subject", ["family:f", "session:s", "user:ann", "client:cli", "jti:t"])
async def test_every_kind_of_subject_ends_its_tokens(here, elsewhere, subject: str) -> None:
    await elsewhere.refresh()
    await revoke(here, subject, "user:nobody")
    assert here.is_revoked(token())
    assert not elsewhere.is_revoked(token())
    await elsewhere.refresh()
    assert elsewhere.is_revoked(token())
    other = token(sub="bob", client_id="web", jti="t2", fid="f2", sid="s2")
    assert not here.is_revoked(other)
    assert not elsewhere.is_revoked(other)
    assert not here.is_revoked({"sub": "bob", "client_id": "web", "jti": "t3", "iat": other["iat"]})


async def test_people_and_clients_get_new_tokens_and_dead_families_do_not(here, clock) -> None:
    await revoke(here, "user:ann", "client:web", "family:dead")
    assert here.is_revoked(token(0))  # the same second belongs to what was revoked
    assert here.is_revoked(token(0, sub="bob", client_id="web"))
    assert not here.is_revoked(token(1))
    assert not here.is_revoked(token(1, sub="bob", client_id="web"))
    assert here.is_revoked(token(1, fid="dead"))
    clock.seconds = 5
    await revoke(here, "user:ann")
    assert here.is_revoked(token(5))


async def test_what_is_rolled_back_was_never_revoked(here: SqlRevocations, database: Database) -> None:
    with suppress(LookupError):
        async with database.transaction() as session:
            await session.run_sync(partial(here.revoke, subjects=["user:ann"]))
            raise LookupError
    assert not here.is_revoked(token())
    await here.refresh()
    assert not here.is_revoked(token())


async def test_nothing_is_known_before_the_commit(here: SqlRevocations, database: Database) -> None:
    async with database.transaction() as session:
        await session.run_sync(partial(here.revoke, subjects=["user:ann"]))
        async with session.begin_nested():
            await session.run_sync(partial(here.revoke, subjects=["client:cli"]))
        assert not here.is_revoked(token())
        with suppress(LookupError):
            async with session.begin_nested():
                raise LookupError
    assert here.is_revoked(token(client_id="other"))
    assert here.is_revoked(token(sub="bob"))


async def test_revoking_in_two_transactions_at_once(here, elsewhere, database: Database) -> None:
    names = [f"user:{number}" for number in range(20)]
    await asyncio.gather(revoke(here, *names), revoke(elsewhere, *reversed(names)), revoke(here))
    async with database.read() as session:
        assert (await session.execute(select(func.count()).select_from(RevocationRow))).scalar_one() == 20


async def test_a_transaction_that_commits_late_is_seen(here, elsewhere, database: Database, clock) -> None:
    clock.seconds = 100
    await revoke(here, "user:late")
    clock.seconds = 100 + OVERLAP.total_seconds() - 1
    await revoke(elsewhere, "user:early")
    reader = SqlRevocations(database, now=clock.now)
    async with database.transaction() as session:  # as if the first had not committed yet
        row = await session.get_one(RevocationRow, "user:late")
        await session.delete(row)
    await reader.refresh()
    assert not reader.is_revoked(token(sub="late"))
    async with database.transaction() as session:
        session.add(
            RevocationRow(
                subject="user:late",
                revoked_at=MIDNIGHT + timedelta(seconds=100),
                expires_at=clock.now() + KEPT,
                owner_id="",
                tenant_id="default",
            )
        )
    await reader.refresh()
    assert reader.is_revoked(token(sub="late"))


async def test_even_a_clock_that_is_far_behind_hides_nothing_for_long(here, database: Database, clock) -> None:
    reader = SqlRevocations(database, now=clock.now)
    await reader.refresh()
    clock.seconds = -300
    await revoke(here, "family:f")
    clock.seconds = 0
    for _ in range(WHOLE_EVERY):
        await reader.refresh()
    assert reader.is_revoked(token())


async def test_a_clock_that_is_ahead_does_not_hide_what_comes_after_it(here, elsewhere, clock) -> None:
    clock.seconds = 500
    await revoke(here, "user:future")
    clock.seconds = 0
    await elsewhere.refresh()
    await elsewhere.refresh()
    await revoke(here, "family:f")
    await elsewhere.refresh()
    assert elsewhere.is_revoked(token())


async def test_it_is_forgotten_when_no_token_can_be_so_old(here, database: Database, clock) -> None:
    await revoke(here, "user:old")
    clock.seconds = KEPT.total_seconds() - 1
    await revoke(here, "user:new")
    await here.trim()
    await here.refresh()
    assert here.is_revoked(token(sub="old"))
    clock.seconds += 1
    await here.trim()
    for _ in range(WHOLE_EVERY):
        await here.refresh()
    assert set(here._dead) == {"user:new"}
    async with database.read() as session:
        assert (await session.scalars(select(RevocationRow.subject))).all() == ["user:new"]


async def known(revocations: SqlRevocations) -> None:
    """Wait until a revocation is known; the test's own time-out ends it otherwise."""
    while not revocations.is_revoked(token()):  # noqa: ASYNC110 - it has no event to wait for
        await asyncio.sleep(0.01)


async def test_another_process_learns_by_itself(database: Database, database_url: str) -> None:
    other = Database(database_url)
    async with open_revocations(database) as mine, open_revocations(other) as theirs:
        await revoke(mine, "family:f")
        await known(theirs)
    async with open_revocations(other) as later:
        assert later.is_revoked(token())
    await other.close()


async def test_with_redis_it_learns_at_once(database, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 3600.0)
    async with open_revocations(database, redis_url) as mine, open_revocations(database, redis_url) as theirs:
        await asyncio.sleep(0)
        await revoke(mine, "family:f")
        await known(theirs)


async def test_a_redis_that_is_down_is_no_obstacle(database: Database) -> None:
    down = "redis://127.0.0.1:1/0"
    async with open_revocations(database, down) as mine, open_revocations(database, down) as theirs:
        await revoke(mine, "family:f")
        await known(theirs)


async def test_a_redis_that_has_no_address(database: Database) -> None:
    with pytest.raises(ConfigError):
        async with open_revocations(database, "nonsense"):
            pass


async def test_a_database_that_blinks_does_not_end_the_looking(database: Database, monkeypatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    async with open_revocations(database) as mine:
        async with database.transaction() as session:
            await session.execute(select(func.count()).select_from(RevocationRow))
            await (await session.connection()).exec_driver_sql("ALTER TABLE revocations RENAME TO hidden")
        await asyncio.sleep(0.05)
        async with database.transaction() as session:
            await (await session.connection()).exec_driver_sql("ALTER TABLE hidden RENAME TO revocations")
        other = SqlRevocations(database)
        await revoke(other, "family:f")
        await known(mine)
