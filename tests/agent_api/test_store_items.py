"""Items of the store: each principal's own, over HTTP and in a graph alike, on every store."""

from collections.abc import AsyncIterator
from typing import TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import GetOp, ListNamespacesOp, MatchCondition, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore
from langgraph.store.postgres.aio import AsyncPostgresStore
from pydantic import ValidationError

from codelab.core.errors import BadRequest, CodeLabError, InvalidInput
from codelab.core.types import Principal
from codelab.runtime.items.owned import owned_store, owner_root
from codelab.runtime.items.schemas import ItemKey, ItemSearch, NamespaceSearch, NewItem
from codelab.runtime.items.service import ItemService
from codelab.store.checkpoints import Checkpoints, open_checkpoints
from codelab.store.engine import Database

ALICE, BOB = Principal("alice"), Principal("bob")
HALF_A_MINUTE = {
    True: "UPDATE store SET expires_at = expires_at - interval '40 seconds'",
    False: "UPDATE store SET expires_at = datetime(expires_at, '-40 seconds')",
}
ELSEWHERE = Principal("alice", tenant_id="other")


@pytest.fixture(params=["memory", "sqlite", "postgres"])
async def checkpoints(request: pytest.FixtureRequest) -> AsyncIterator[Checkpoints]:
    url = "sqlite://" if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")
    database = Database(url)
    async with open_checkpoints(database) as opened:
        if opened.store.supports_ttl and hasattr(opened, "_pool"):
            await opened._pool.open()
        yield opened
    await database.close()


@pytest.fixture
def items(checkpoints: Checkpoints) -> ItemService:
    return ItemService(checkpoints.store)


def item(*namespace: str, key: str = "k", **value: object) -> NewItem:
    return NewItem(namespace=list(namespace), key=key, value=value or {"v": 1})


def at(*namespace: str, key: str = "k") -> ItemKey:
    return ItemKey(namespace=list(namespace), key=key)


async def names(items: ItemService, who: Principal, **asked: object) -> list[list[str]]:
    return await items.namespaces(who, NamespaceSearch(**asked))


async def keys(items: ItemService, who: Principal, *prefix: str, **asked: object) -> list[str]:
    return sorted(i.key for i in await items.search(who, ItemSearch(namespace_prefix=list(prefix), **asked)))


async def test_put_get_replace_and_delete(items: ItemService) -> None:
    await items.put(ALICE, item("a", "b", x=1))
    first = await items.get(ALICE, at("a", "b"))
    assert first is not None
    assert (first.namespace, first.key, first.value) == (["a", "b"], "k", {"x": 1})
    await items.put(ALICE, item("a", "b", y=2))
    second = await items.get(ALICE, at("a", "b"))
    assert second is not None
    assert second.value == {"y": 2}
    await items.delete(ALICE, at("a", "b"))
    await items.delete(ALICE, at("a", "b"))
    assert await items.get(ALICE, at("a", "b")) is None


async def test_nobody_sees_the_items_of_another(items: ItemService) -> None:
    for who in (ALICE, BOB, ELSEWHERE):
        await items.put(who, item("shared", key=f"{who.user_id}-{who.tenant_id}", secret=who.user_id))
    assert await keys(items, ALICE) == ["alice-default"]
    assert await keys(items, ALICE, "shared") == ["alice-default"]
    assert await items.get(ALICE, at("shared", key="bob-default")) is None
    await items.delete(ALICE, at("shared", key="bob-default"))
    assert await keys(items, BOB) == ["bob-default"]
    assert await names(items, ALICE) == [["shared"]]
    for hidden in (owner_root(BOB), owner_root(ALICE), ("u",), ("*", "*"), ("%",)):
        assert await keys(items, ALICE, *hidden) == []
        assert await names(items, ALICE, prefix=list(hidden)) == []


async def test_what_is_hidden_never_shows(items: ItemService) -> None:
    await items.put(ALICE, item("a", "b"))
    found = await items.search(ALICE, ItemSearch())
    got = await items.get(ALICE, at("a", "b"))
    assert [f.namespace for f in found] == [["a", "b"]] == [got.namespace]  # type: ignore[union-attr]
    root = owner_root(ALICE)
    assert await names(items, ALICE, suffix=[root[1], "a", "b"]) in ([], [["a", "b"]])
    assert await names(items, ALICE, max_depth=0) == [[]]


async def test_a_prefix_is_whole_labels(items: ItemService) -> None:
    for label in ("user_1", "user_10", "userX1", "USER_1"):
        await items.put(ALICE, item(label, key=label))
    assert await keys(items, ALICE, "user_1") == ["user_1"]
    assert await names(items, ALICE, prefix=["user_1"]) == [["user_1"]]


async def test_search_filters_and_pages(items: ItemService) -> None:
    for n in range(5):
        await items.put(ALICE, item("docs", key=f"d{n}", kind="even" if n % 2 == 0 else "odd"))
    assert await keys(items, ALICE, "docs", filter={"kind": "odd"}) == ["d1", "d3"]
    assert len(await keys(items, ALICE, "docs", limit=2)) == 2
    pages = [await keys(items, ALICE, limit=2, offset=offset) for offset in (0, 2, 4)]
    assert sorted(key for page in pages for key in page) == [f"d{n}" for n in range(5)]
    assert len(await keys(items, ALICE, limit=0)) == 5
    with pytest.raises(BadRequest):
        await keys(items, ALICE, filter={"kind": {"$zz": 1}})


async def test_namespaces_by_prefix_suffix_and_depth(items: ItemService) -> None:
    for namespace in (("a",), ("a", "b"), ("a", "b", "c"), ("z", "b")):
        await items.put(ALICE, item(*namespace))
    await items.put(BOB, item("a", "bob"))
    assert await names(items, ALICE) == [["a"], ["a", "b"], ["a", "b", "c"], ["z", "b"]]
    assert await names(items, ALICE, prefix=["a"]) == [["a"], ["a", "b"], ["a", "b", "c"]]
    assert await names(items, ALICE, suffix=["b"]) == [["a", "b"], ["z", "b"]]
    assert await names(items, ALICE, prefix=["*", "b"]) == [["a", "b"], ["a", "b", "c"], ["z", "b"]]
    assert await names(items, ALICE, max_depth=1) == [["a"], ["z"]]
    assert await names(items, ALICE, prefix=["a"], max_depth=2) == [["a"], ["a", "b"]]
    assert await names(items, ALICE, limit=1, offset=1) == [["a", "b"]]


@pytest.mark.parametrize("label", ["", "a.b", "nul\x00"])
async def test_labels_that_are_none(items: ItemService, label: str) -> None:
    with pytest.raises(InvalidInput, match="must be a non-empty string without periods"):
        await items.put(ALICE, item("ok", label))
    with pytest.raises(InvalidInput):
        await items.get(ALICE, at(label))
    with pytest.raises(InvalidInput):
        await keys(items, ALICE, label)
    with pytest.raises(InvalidInput):
        await names(items, ALICE, suffix=[label])


def test_half_a_character_is_no_label() -> None:
    with pytest.raises(ValidationError):
        item("ok", "\ud800")


async def test_namespaces_that_are_not_for_items(items: ItemService) -> None:
    with pytest.raises(BadRequest, match="Namespace cannot be empty"):
        await items.put(ALICE, item())
    with pytest.raises(BadRequest, match="langgraph"):
        await items.put(ALICE, item("langgraph", "x"))


@pytest.mark.parametrize(
    "value",
    [
        {"nul": "a\x00b", "surrogate": "\ud800"},
        {"nan": float("nan")},
        {"deep": {"er": [1, 2.5, None, True]}},
        {"quote'key": "';--"},
    ],
)
async def test_values_that_databases_do_not_like(items: ItemService, value: dict[str, object]) -> None:
    await items.put(ALICE, NewItem(namespace=["a"], key="k\x00'\"", value=value))
    found = await items.search(ALICE, ItemSearch())
    assert [f.key for f in found] == ["k�'\""]
    assert await items.get(ALICE, at("a", key="k\x00'\"")) is not None
    for condition in (value, {"quote'key": {"$gt": 1}}, {"x": {"$gt": 0}}, {"": 1}, {"x": [1]}, {"x": {"$ne": None}}):
        try:
            await keys(items, ALICE, filter=condition)
        except CodeLabError as exc:
            assert exc.status == 400  # noqa: PT017 - either answer will do, a broken server will not


async def age(checkpoints: Checkpoints, minutes: int) -> None:
    """Let time pass for every item that has a time to live."""
    store, step = checkpoints.store, f"{minutes} minutes"
    async with store._cursor() as cursor:  # type: ignore[attr-defined]
        if isinstance(store, AsyncPostgresStore):
            await cursor.execute("UPDATE store SET expires_at = expires_at - %s::interval", (step,))
        else:
            await cursor.execute("UPDATE store SET expires_at = datetime(expires_at, ?)", (f"-{step}",))


async def test_a_time_to_live(checkpoints: Checkpoints) -> None:
    items = ItemService(checkpoints.store)
    if not checkpoints.store.supports_ttl:
        assert isinstance(checkpoints.store, InMemoryStore)
        with pytest.raises(InvalidInput, match="ttl"):
            await items.put(ALICE, NewItem(namespace=["a"], key="k", value={"v": 1}, ttl=1))
        assert await items.sweep() == 0
        return
    for key, ttl in (("short", 4.5), ("long", 60), ("ever", None)):
        await items.put(ALICE, NewItem(namespace=["a"], key=key, value={"v": 1}, ttl=ttl))
    assert await items.sweep() == 0
    await age(checkpoints, 6)
    assert await items.sweep() == 1
    assert await keys(items, ALICE) == ["ever", "long"]


@pytest.mark.parametrize("checkpoints", ["sqlite", "postgres"], indirect=True)  # items in memory have no ttl
async def test_reading_renews_unless_told_otherwise(checkpoints: Checkpoints) -> None:
    items = ItemService(checkpoints.store)
    for key in ("get", "search", "default", "left"):
        await items.put(ALICE, NewItem(namespace=[key], key=key, value={"v": 1}, ttl=0.5))
    for _ in range(2):
        await items.get(ALICE, at("get", key="get"), refresh_ttl=True)
        await items.get(ALICE, at("default", key="default"))
        await keys(items, ALICE, "search", refresh_ttl=True)
        await items.get(ALICE, at("left", key="left"), refresh_ttl=False)
        await keys(items, ALICE, "left", refresh_ttl=False)
        async with checkpoints.store._cursor() as cursor:  # type: ignore[attr-defined]
            await cursor.execute(HALF_A_MINUTE[isinstance(checkpoints.store, AsyncPostgresStore)])
    await items.sweep()
    assert await keys(items, ALICE) == ["default", "get", "search"]


class State(TypedDict, total=False):
    seen: list[str]


async def test_a_graph_sees_what_its_owner_sees(items: ItemService) -> None:
    async def note(_state: State, runtime: Runtime) -> State:
        assert runtime.store is not None
        await runtime.store.aput(("memories",), "from-graph", {"text": "hi"})
        found = await runtime.store.asearch(("memories",))
        return {"seen": sorted(one.key for one in found)}

    def look(state: State, runtime: Runtime) -> State:
        """A node in a thread uses the store without awaiting."""
        assert runtime.store is not None
        one = runtime.store.get(("memories",), "from-graph")
        assert one is not None
        assert one.namespace == ("memories",)
        return state

    builder = StateGraph(State)
    builder.add_sequence([note, look])
    builder.add_edge(START, "note")
    await items.put(ALICE, item("memories", key="from-http"))
    await items.put(BOB, item("memories", key="of-bob"))
    graph = builder.compile(store=items.store_of(ALICE))
    assert (await graph.ainvoke({"seen": []}))["seen"] == ["from-graph", "from-http"]
    assert await keys(items, ALICE, "memories") == ["from-graph", "from-http"]
    assert await keys(items, BOB, "memories") == ["of-bob"]


async def test_operations_in_one_batch(items: ItemService) -> None:
    store = items.store_of(ALICE)
    await store.abatch([PutOp(("a",), "1", {"n": 1}), PutOp(("b",), "2", {"n": 2})])
    await items.put(BOB, item("a", key="bob"))
    got, found, listed, suffixed = await store.abatch(
        [
            GetOp(("a",), "1"),
            SearchOp(()),
            ListNamespacesOp(),
            ListNamespacesOp(match_conditions=(MatchCondition("suffix", ("b",)),)),
        ]
    )
    assert got.namespace == ("a",)  # type: ignore[union-attr]
    assert sorted(one.key for one in found) == ["1", "2"]  # type: ignore[union-attr]
    assert (listed, suffixed) == ([("a",), ("b",)], [("b",)])
    await store.abatch([PutOp(("a",), "1", None)])
    assert await keys(items, ALICE) == ["2"]


async def test_what_is_given_out_is_a_copy() -> None:
    inner = InMemoryStore()
    store = owned_store(inner, ALICE)
    await store.aput(("a",), "k", {"v": 1})
    for _ in range(2):
        got = await store.aget(("a",), "k")
        assert got is not None
        assert got.namespace == ("a",)


@given(st.tuples(st.text(), st.text()), st.tuples(st.text(), st.text()))
def test_no_two_owners_share_a_root(one: tuple[str, str], other: tuple[str, str]) -> None:
    first, second = (owner_root(Principal(user, tenant_id=tenant)) for user, tenant in (one, other))
    assert (first == second) == (one == other)
    assert len(first[1]) == len(second[1])


@pytest.mark.parametrize("bad", [{"key": "x" * 2000}, {"namespace": ["a"] * 40}, {"key": 3}, {"ttl": "x"}])
def test_places_that_do_not_fit(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - pydantic's
        NewItem.model_validate({"namespace": ["a"], "key": "k", "value": {}} | bad)
