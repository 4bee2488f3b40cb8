"""The audit trail: what it refuses to hold, who reads what, and that writing it down never hurts. On both databases."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from codelab.auth.audit import service
from codelab.auth.audit.cleaning import DEEPEST, LONGEST, MOST, REDACTED, clean_details
from codelab.auth.audit.service import Audit
from codelab.auth.seams import AuditEntry, Origin
from codelab.core.types import Principal
from codelab.store.engine import Database
from codelab.store.models import AuditRow
from codelab.store.texts import dump_json

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SECRETS = ["cl_rt_abcdef", "cl_ac_a-b", "sk-cl-abc_def", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.sig"]


class Time:
    """The time of day, as tests turn it."""

    def __init__(self) -> None:
        self.at = NOON

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def audit(database: Database, time: Time) -> Audit:
    return Audit(database, now=time)


def reader(tenant: str = "default") -> Principal:
    return Principal("admin", tenant, scopes=frozenset({"audit:read"}))


@pytest.mark.parametrize(
    "name", ["password", "new_password", "client_secret", "access_token", "Code", "set-cookie", "Authorization"]
)
def test_what_has_a_secrets_name_is_replaced(name: str) -> None:
    assert clean_details({name: "hunter2", "in": {name: ["hunter2"]}}) == {name: REDACTED, "in": {name: REDACTED}}


@pytest.mark.parametrize("secret", SECRETS)
def test_what_looks_like_a_secret_is_replaced_wherever_it_stands(secret: str) -> None:
    cleaned = dump_json(clean_details({"a": f"Bearer {secret}", "b": [{"c": secret}], secret: 1}))
    assert secret not in cleaned
    assert cleaned.count(REDACTED) == 3


def test_details_are_bounded() -> None:
    deep: dict = {}
    inner = deep
    for _ in range(DEEPEST + 3):
        inner["in"] = inner = {}
    cleaned = clean_details({"long": "x" * 10_000, "many": list(range(1000)), "deep": deep, "huge": 10**400})
    assert len(cleaned["long"]) == LONGEST
    assert len(cleaned["many"]) == MOST
    assert REDACTED in str(cleaned["deep"])
    assert len(dump_json(cleaned)) < 10_000


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4) | st.frozensets(st.text())
    ),
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_whatever_the_details_are_they_can_be_stored(details: dict) -> None:
    stored = dump_json(clean_details(details))
    assert "\\u0000" not in stored
    assert "NaN" not in stored.replace('"NaN"', "")


async def test_a_note_stands_if_its_transaction_does(audit: Audit, database: Database) -> None:
    async with database.transaction() as session:
        await session.run_sync(lambda s: audit.note(s, AuditEntry(type="auth.signed_in", actor="alice")))
    with pytest.raises(RuntimeError):  # noqa: PT012
        async with database.transaction() as session:
            await session.run_sync(lambda s: audit.note(s, AuditEntry(type="auth.signed_out", actor="alice")))
            raise RuntimeError
    assert [(fact.type, fact.actor) for fact in await audit.list(reader())] == [("auth.signed_in", "alice")]


async def test_a_fact_is_kept_with_its_origin_and_without_secrets(audit: Audit, database: Database) -> None:
    origin = Origin(address="192.0.2.7", user_agent="x", correlation_id="abc")
    details = {"reason": "wrong", "password": "hunter2", "sent": SECRETS}
    entry = AuditEntry(
        type="auth.refused", outcome="denied", actor="a\x00\ud800", subject=SECRETS[0], origin=origin, details=details
    )
    await audit.record(entry)
    (fact,) = await audit.list(reader())
    assert (fact.address, fact.correlation_id, fact.outcome, fact.at) == ("192.0.2.7", "abc", "denied", NOON)
    assert fact.details["reason"] == "wrong"
    async with database.read() as session:
        stored = str((await session.execute(text("SELECT * FROM audit_events"))).one())
    assert not [secret for secret in [*SECRETS, "hunter2"] if secret in stored]


async def test_a_tenant_reads_its_own_facts_page_by_page(audit: Audit, time: Time) -> None:
    for number in range(5):
        await audit.record(AuditEntry(type=f"t.{number % 2}", tenant_id="acme", details={"n": number}))
        time.at += timedelta(seconds=number % 2)  # some share their second
    await audit.record(AuditEntry(type="t.0", tenant_id="other"))
    seen, cursor = [], None
    while page := await audit.list(reader("acme"), limit=2, cursor=cursor):
        seen += [fact.details["n"] for fact in page]
        cursor = page[-1].at, page[-1].id
    assert seen == [4, 3, 2, 1, 0]
    assert [fact.details["n"] for fact in await audit.list(reader("acme"), type="t.1")] == [3, 1]
    assert [fact.details["n"] for fact in await audit.list(reader("acme"), since=NOON + timedelta(seconds=2))] == [4]
    assert await audit.list(reader("nobody")) == []


async def test_old_facts_are_dropped(audit: Audit, time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "TRIMMED_AT_ONCE", 2)
    for number in range(7):
        await audit.record(AuditEntry(type="t", details={"n": number}))
        time.at += timedelta(days=1)
    assert await audit.trim(3) == 4
    assert [fact.details["n"] for fact in await audit.list(reader())] == [6, 5, 4]


async def test_many_facts_at_once_are_all_kept(audit: Audit) -> None:
    await asyncio.gather(*(audit.record(AuditEntry(type="t", details={"n": n})) for n in range(250)))
    assert {fact.details["n"] for fact in await audit.list(reader(), limit=1000)} == set(range(250))


async def test_who_hangs_up_does_not_take_the_fact_along(audit: Audit, database: Database) -> None:
    asking = asyncio.create_task(audit.record(AuditEntry(type="t")))
    await asyncio.sleep(0)
    asking.cancel()
    await audit.record(AuditEntry(type="t"))
    async with database.read() as session:
        assert len((await session.scalars(select(AuditRow))).all()) == 2


async def test_a_database_that_cannot_is_no_error_of_who_records() -> None:
    database = Database("sqlite://")  # without tables
    await Audit(database).record(AuditEntry(type="t"))
    await database.close()


async def test_what_waits_is_bounded(audit: Audit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_WAITING", 3)
    await asyncio.gather(*(audit.record(AuditEntry(type="t")) for _ in range(20)))
    assert len(await audit.list(reader())) == 3
