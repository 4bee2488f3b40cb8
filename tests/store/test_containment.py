"""Containment means the same on both databases: what PostgreSQL's `@>` means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select, text

from codelab.core.types import new_id, utc_now
from codelab.store.containment import contains, holds
from codelab.store.engine import Database
from codelab.store.models import AssistantRow

CASES = [
    ({"a": 1, "b": {"c": [1, 2, {"d": "x"}]}}, {}, True),
    ({"a": 1, "b": {"c": [1, 2, {"d": "x"}]}}, {"a": 1}, True),
    ({"a": 1}, {"a": 1.0}, True),
    ({"a": 1}, {"a": True}, False),
    ({"a": "1"}, {"a": 1}, False),
    ({"a": 1}, {"b": None}, False),
    ({"a": None}, {"a": None}, True),
    ({"b": {"c": [1, 2, {"d": "x", "e": 1}]}}, {"b": {"c": [{"d": "x"}, 2]}}, True),
    ({"b": {"c": [1, 2]}}, {"b": {"c": [3]}}, False),
    ({"b": [1]}, {"b": 1}, False),
    ({"b": {"x": 1}}, {"b": {}}, True),
    ({"b": 1}, {"b": {}}, False),
    ({'we"ird.k$[0]': "ключ"}, {'we"ird.k$[0]': "ключ"}, True),
    ({"l": [[1, 2], [3]]}, {"l": [[3]]}, True),
    ({"l": []}, {"l": [[]]}, False),
]


@pytest.fixture
async def database(database_url):
    database = Database(database_url)
    yield database
    await database.close()


def row(meta):
    now = utc_now()
    return AssistantRow(
        id=new_id(), graph_id="g", name="n", config={}, context={}, meta=meta, version=1, created_at=now,
        updated_at=now, owner_id="ann", tenant_id="t",
    )  # fmt: skip


async def test_both_databases_agree_with_the_rule(database):
    rows = [row(value) for value, _wanted, _held in CASES]
    async with database.transaction() as session:
        session.add_all(rows)
    async with database.read() as session:
        for (value, wanted, held), stored in zip(CASES, rows, strict=True):
            query = select(AssistantRow.id).where(AssistantRow.id == stored.id, contains(AssistantRow.meta, wanted))
            found = (await session.scalars(query)).first() is not None
            assert found == held == holds(value, wanted), (value, wanted)


plain = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
values = st.recursive(plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner))


@given(
    st.lists(st.tuples(st.dictionaries(st.sampled_from("ab"), values), st.dictionaries(st.sampled_from("ab"), values)))
)
def test_the_rule_is_reflexive_and_grows(pairs):
    for value, wanted in pairs:
        assert holds(value, value)
        assert holds(value | {"more": 1}, wanted) or not holds(value, wanted)


async def test_the_rule_is_postgresqls_own(postgres_url):
    import json  # noqa: PLC0415

    database = Database(postgres_url)
    asked = text("SELECT CAST(:value AS jsonb) @> CAST(:wanted AS jsonb)")
    objects = [value for value, _, _ in CASES] + [wanted for _, wanted, _ in CASES]
    async with database.read() as session:
        for value in objects:
            for wanted in objects:
                given_both = {"value": json.dumps(value), "wanted": json.dumps(wanted)}
                assert (await session.execute(asked, given_both)).scalar() == holds(value, wanted), (value, wanted)
    await database.close()
