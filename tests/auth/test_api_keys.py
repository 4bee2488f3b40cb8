"""API keys: what is kept of them, who may make them, when they end, how fast they may ask. On both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from codelab.auth.api_keys.known import FRESH_S, MOST, Known
from codelab.auth.api_keys.limits import Bucket, Limits
from codelab.auth.api_keys.schemas import KeyOptions
from codelab.auth.api_keys.secret import digest_of, is_key, new_secret
from codelab.auth.api_keys.service import MOST_KEYS, ApiKeys, open_api_keys
from codelab.core import permissions
from codelab.core.errors import Conflict, Forbidden, InvalidInput, NotFound, RateLimited, Unavailable
from codelab.core.types import Principal
from codelab.store.engine import Database
from codelab.store.models import ApiKeyRow

ALICE = Principal("alice", scopes=permissions.ALL)
BOB = Principal("bob", scopes=permissions.ALL)
ALICE_ELSEWHERE = Principal("alice", "acme", scopes=permissions.ALL)
MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)


class Time:
    """A clock that tests turn."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> datetime:
        return MIDNIGHT + timedelta(seconds=self.seconds)


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def keys(database: Database, time: Time) -> ApiKeys:
    return ApiKeys(database, clock=time, now=time.now)


def options(**more) -> KeyOptions:
    return KeyOptions(**{"name": "mine", **more})


def test_a_secret_is_long_random_and_not_kept() -> None:
    one, other = new_secret(), new_secret()
    assert one.token != other.token
    assert len(one.token.removeprefix("sk-cl-")) * 6 >= 192
    assert one.token.startswith(one.prefix)
    assert len(one.prefix) < 16
    assert is_key(one.token)
    assert one.token not in (one.prefix, one.digest)
    assert digest_of(one.token) == one.digest


@pytest.mark.parametrize(
    "token", ["", "sk-cl-", "sk-cl-" + "a" * 42, "sk-cl-" + "a" * 44, "sk-cl-" + "é" * 43, "x" * 49]
)
async def test_what_does_not_look_like_a_key_is_not_looked_up(token: str) -> None:
    keys = ApiKeys(Database("sqlite://"))  # without tables: a look would raise
    assert keys.seen(token) is None
    assert await keys.verify(token) is None


async def test_only_a_hash_and_the_prefix_reach_the_database(keys: ApiKeys, database: Database) -> None:
    made = await keys.create(ALICE, options())
    async with database.read() as session:
        row = (await session.execute(text("SELECT * FROM api_keys"))).one()
    assert made.key not in str(row)
    assert made.key.removeprefix(made.prefix) not in str(row)
    assert row.digest == digest_of(made.key)


async def test_a_key_acts_for_its_owner_with_its_own_scopes(keys: ApiKeys) -> None:
    made = await keys.create(ALICE_ELSEWHERE, options(models=["small"]))
    assert keys.seen(made.key) is None
    known = await keys.verify(made.key)
    assert known is not None
    assert known.principal == Principal("alice", "acme", made.id, frozenset({"llm:invoke"}))
    assert known.models == {"small"}
    assert keys.seen(made.key) is known


async def test_a_key_cannot_hold_more_than_its_owner(keys: ApiKeys) -> None:
    weak = Principal("weak", scopes=frozenset({"llm:invoke"}))
    with pytest.raises(Forbidden):
        await keys.create(weak, options(scopes=["llm:invoke", "usage:read"]))
    with pytest.raises(InvalidInput):
        await keys.create(ALICE, options(scopes=["everything"]))
    assert (await keys.create(weak, options())).scopes == ["llm:invoke"]


async def test_revoked_here_at_once_and_elsewhere_within_seconds(keys: ApiKeys, database: Database, time: Time) -> None:
    made = await keys.create(ALICE, options())
    elsewhere = ApiKeys(database, clock=time, now=time.now)
    assert await keys.verify(made.key)
    assert await elsewhere.verify(made.key)
    revoked = await keys.revoke(ALICE, made.id)
    assert revoked.revoked_at == MIDNIGHT
    assert keys.seen(made.key) is None
    assert await keys.verify(made.key) is None
    assert elsewhere.seen(made.key) is not None
    time.seconds += FRESH_S
    assert elsewhere.seen(made.key) is None
    assert await elsewhere.verify(made.key) is None
    assert elsewhere.seen(made.key) is None
    assert (await keys.revoke(ALICE, made.id)).revoked_at == MIDNIGHT


async def test_a_look_that_began_before_the_revocation_leaves_no_memory(keys: ApiKeys, database: Database) -> None:
    made = await keys.create(ALICE, options())
    known = keys._known
    async with database.read() as session:
        row = (await session.scalars(select(ApiKeyRow).where(ApiKeyRow.id == made.id))).one()
    before = known.forgotten
    await keys.revoke(ALICE, made.id)
    known.remember(row, forgotten=before)
    assert keys.seen(made.key) is None


async def test_of_many_that_find_a_key_stale_one_looks(keys: ApiKeys, time: Time) -> None:
    made = await keys.create(ALICE, options())
    await keys.verify(made.key)
    time.seconds += FRESH_S
    assert [keys.seen(made.key) is None for _ in range(3)] == [True, False, False]


async def test_an_expired_key_is_over_even_while_it_is_fresh(keys: ApiKeys, time: Time) -> None:
    made = await keys.create(ALICE, options(expires_in_days=1))
    time.seconds = 86_400 - 1
    assert await keys.verify(made.key)
    time.seconds += 1
    assert keys.seen(made.key) is None
    assert await keys.verify(made.key) is None


async def test_rotation_keeps_the_key_and_kills_the_secret(keys: ApiKeys) -> None:
    made = await keys.create(ALICE, options(requests_per_minute=7))
    await keys.verify(made.key)
    rotated = await keys.rotate(ALICE, made.id)
    assert (rotated.id, rotated.requests_per_minute) == (made.id, 7)
    assert rotated.key != made.key
    assert keys.seen(made.key) is None
    assert await keys.verify(made.key) is None
    assert await keys.verify(rotated.key)
    await keys.revoke(ALICE, made.id)
    with pytest.raises(Conflict):
        await keys.rotate(ALICE, made.id)


@pytest.mark.parametrize("other", [BOB, ALICE_ELSEWHERE], ids=["person", "tenant"])
async def test_somebody_elses_key_is_not_there(keys: ApiKeys, other: Principal) -> None:
    made = await keys.create(ALICE, options())
    assert await keys.list(other) == []
    for act in (keys.revoke, keys.rotate):
        with pytest.raises(NotFound):
            await act(other, made.id)
    assert await keys.verify(made.key)


async def test_use_is_noted_together_and_later(database: Database, time: Time) -> None:
    keys = ApiKeys(database, clock=time, now=time.now)
    one, other = [await keys.create(ALICE, options(name=name)) for name in ("one", "other")]
    await keys.verify(one.key)
    time.seconds += 1
    keys.seen(one.key)
    assert [key.last_used_at for key in await keys.list(ALICE)] == [None, None]
    await keys.note()
    assert [key.last_used_at for key in await keys.list(ALICE)] == [time.now(), None]
    assert other.last_used_at is None


async def test_use_is_noted_when_the_server_ends(database: Database) -> None:
    async with open_api_keys(database) as keys:
        made = await keys.create(ALICE, options())
        await keys.verify(made.key)
    (key,) = await ApiKeys(database).list(ALICE)
    assert key.last_used_at is not None


async def test_a_database_that_cannot_tell_is_not_a_wrong_key() -> None:
    database = Database("sqlite://")  # without tables
    with pytest.raises(Unavailable):
        await ApiKeys(database).verify(new_secret().token)
    await database.close()


async def test_a_person_has_so_many_keys_and_no_more(database: Database) -> None:
    keys = ApiKeys(database)
    whose = {"owner_id": "alice", "tenant_id": "default"}
    async with database.transaction() as session:
        session.add_all(
            ApiKeyRow(id=str(n), name="n", prefix="p", digest=str(n), scopes=[], created_at=MIDNIGHT, **whose)
            for n in range(MOST_KEYS)
        )
    with pytest.raises(Conflict):
        await keys.create(ALICE, options())
    await keys.create(BOB, options())
    await keys.revoke(ALICE, "0")
    await keys.create(ALICE, options())


def test_memory_is_bounded(time: Time) -> None:
    known = Known(time)
    for n in range(MOST + 50):
        row = ApiKeyRow(id=str(n), digest=str(n), scopes=[], owner_id="a", tenant_id="t", requests_per_minute=1)
        known.remember(row, forgotten=0)
    assert (len(known._keys), len(known._limits)) == (MOST, MOST)
    assert known.get("0") is None
    assert known.get(str(MOST)) is not None


async def test_reading_a_key_again_does_not_fill_its_buckets(keys: ApiKeys, time: Time) -> None:
    made = await keys.create(ALICE, options(requests_per_minute=1))
    known = await keys.verify(made.key)
    assert known is not None
    known.limits.admit(1, time())
    time.seconds += FRESH_S
    again = await keys.verify(made.key)
    assert again is not None
    with pytest.raises(RateLimited) as caught:
        again.limits.admit(1, time())
    assert caught.value.extra["retry_after"] == pytest.approx(60 - FRESH_S)


def test_tokens_are_counted_as_they_were_used() -> None:
    limits = Limits(None, 100, 0.0)
    limits.admit(10, 0.0)
    limits.correct(10, 160)
    with pytest.raises(RateLimited) as caught:
        limits.admit(10, 0.0)
    assert caught.value.extra["retry_after"] == pytest.approx(42)  # from 60 below empty to 10
    limits.admit(10, 42.1)


def test_a_request_that_is_refused_for_its_tokens_is_not_counted() -> None:
    limits = Limits(2, 10, 0.0)
    limits.admit(10, 0.0)
    for _ in range(3):
        with pytest.raises(RateLimited):
            limits.admit(5, 0.0)
    limits.admit(5, 30.0)


def test_more_than_the_bucket_holds_is_had_when_it_is_full() -> None:
    limits = Limits(None, 10, 0.0)
    limits.admit(1_000, 0.0)
    with pytest.raises(RateLimited):
        limits.admit(1, 60.0)
    limits.admit(1_000, 6_000.0)


@given(
    st.integers(1, 1_000),
    st.lists(st.tuples(st.floats(0, 30), st.integers(1, 500)), max_size=60),
)
def test_a_bucket_never_gives_more_than_its_rate(per_minute: int, asked: list[tuple[float, int]]) -> None:
    bucket, now, given_away = Bucket(per_minute, 0.0), 0.0, 0.0
    for pause, wanted in asked:
        now += pause
        amount = min(wanted, per_minute)
        if bucket.wait(amount, now) == 0:
            bucket.take(amount)
            given_away += amount
        assert given_away <= per_minute + now * per_minute / 60 + 1e-6


async def test_parallel_checks_of_one_key_agree(keys: ApiKeys) -> None:
    made = await keys.create(ALICE, options())
    found = await asyncio.gather(*(keys.verify(made.key) for _ in range(8)))
    assert {key.id for key in found if key} == {made.id}
