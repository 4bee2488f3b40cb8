"""The store's routes, call by call as `langgraph dev` answers them, and through the SDK."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from tests.agent_api.people import Clients, people

ITEMS, SEARCH, NAMESPACES = "/store/items", "/store/items/search", "/store/namespaces"


@pytest.fixture
async def clients(database_url: str) -> AsyncIterator[Clients]:
    async with people({}, database_url) as (_, client):
        yield client


@pytest.fixture
def server(clients: Clients) -> httpx.AsyncClient:
    return clients()


async def put(server: httpx.AsyncClient, *namespace: str, key: str = "k", **value: Any) -> None:
    body = {"namespace": list(namespace), "key": key, "value": value or {"x": 1}}
    answer = await server.put(ITEMS, json=body)
    assert (answer.status_code, answer.content) == (204, b"")


async def test_an_item_on_the_wire(server: httpx.AsyncClient) -> None:
    await put(server, "a", "b", x=1, t="hi")
    got = await server.get(ITEMS, params={"namespace": "a.b", "key": "k"})
    assert got.status_code == 200
    body = got.json()
    assert set(body) == {"namespace", "key", "value", "created_at", "updated_at"}
    assert (body["namespace"], body["key"], body["value"]) == (["a", "b"], "k", {"x": 1, "t": "hi"})
    found = (await server.post(SEARCH, json={"namespace_prefix": ["a"]})).json()["items"]
    assert set(found[0]) == {*body, "score"}
    assert found[0]["score"] is None
    gone = await server.request("DELETE", ITEMS, json={"namespace": ["a", "b"], "key": "k"})
    assert (gone.status_code, gone.content, gone.headers.get("content-type")) == (204, b"", None)
    missing = await server.get(ITEMS, params={"namespace": "a.b", "key": "k", "refresh_ttl": "true"})
    assert (missing.status_code, missing.text) == (200, "null")


LABEL = "must be a non-empty string without periods"


@pytest.mark.parametrize(
    ("call", "sent", "status", "says"),
    [
        (("PUT", ITEMS), {"namespace": ["a.x"], "key": "k", "value": {}}, 422, LABEL),
        (("PUT", ITEMS), {"namespace": ["a", ""], "key": "k", "value": {}}, 422, LABEL),
        (("PUT", ITEMS), {"namespace": [], "key": "k", "value": {}}, 400, "Namespace cannot be empty."),
        (("PUT", ITEMS), {"namespace": ["langgraph", "x"], "key": "k", "value": {}}, 400, "Root label"),
        (("PUT", ITEMS), {"namespace": "str", "key": "k", "value": {}}, 422, "namespace"),
        (("PUT", ITEMS), {"namespace": ["a", 3], "key": "k", "value": {}}, 422, "namespace"),
        (("PUT", ITEMS), {"namespace": ["a"], "key": 3, "value": {}}, 422, "key"),
        (("PUT", ITEMS), {"namespace": ["a"], "value": {}}, 422, "key"),
        (("PUT", ITEMS), {"namespace": ["a"], "key": "k", "value": [1]}, 422, "value"),
        (("PUT", ITEMS), {"namespace": ["a"], "key": "k"}, 422, "value"),
        (("PUT", ITEMS), {"namespace": ["a"], "key": "k", "value": {}, "ttl": "x"}, 422, "ttl"),
        (("PUT", ITEMS), {"namespace": ["a"], "key": "k", "value": {}, "index": True}, 422, "index"),
        (("PUT", ITEMS), [1], 422, ""),
        (("POST", SEARCH), {"namespace_prefix": "a"}, 422, "namespace_prefix"),
        (("POST", SEARCH), {"namespace_prefix": ["a.b"]}, 422, LABEL),
        (("POST", SEARCH), {"namespace_prefix": ["a"], "filter": [1]}, 422, "filter"),
        (("POST", SEARCH), {"namespace_prefix": ["a"], "filter": {"x": {"$zz": 0}}}, 400, "$zz"),
        (("POST", NAMESPACES), {"prefix": "a"}, 422, "prefix"),
        (("POST", NAMESPACES), {"prefix": [""]}, 422, LABEL),
        (("DELETE", ITEMS), {"namespace": ["a.b"], "key": "k"}, 422, LABEL),
        (("DELETE", ITEMS), {"namespace": ["a"]}, 422, "key"),
    ],
)
async def test_refusals(server: httpx.AsyncClient, call: tuple[str, str], sent: Any, status: int, says: str) -> None:
    await put(server, "a")
    answer = await server.request(*call, json=sent)
    assert answer.status_code == status
    assert set(answer.json()) == {"detail"}
    assert says in answer.json()["detail"]


async def test_refusals_of_a_get(server: httpx.AsyncClient) -> None:
    for params, status in (
        ({"namespace": "a.b"}, 400),
        ({"key": "k"}, 422),
        ({"namespace": "", "key": "k"}, 422),
        ({"namespace": "a..b", "key": "k"}, 422),
    ):
        answer = await server.get(ITEMS, params=params)
        assert (answer.status_code, set(answer.json())) == (status, {"detail"})


async def test_bodies_of_any_content_type(server: httpx.AsyncClient) -> None:
    body = b'{"namespace":["a"],"key":"tp","value":{"a":1},"foo":1,"ttl":null,"index":null}'
    answer = await server.put(ITEMS, content=body, headers={"content-type": "text/plain"})
    assert answer.status_code == 204
    assert (await server.put(ITEMS, content=b"{bad")).status_code == 422
    for empty in ({}, {"namespace_prefix": None, "limit": None}):
        assert len((await server.post(SEARCH, json=empty)).json()["items"]) == 1


async def test_namespaces(server: httpx.AsyncClient) -> None:
    for namespace in (("a",), ("a", "b"), ("a", "b", "c"), ("z", "b")):
        await put(server, *namespace)
    for sent, expected in (
        ({}, [["a"], ["a", "b"], ["a", "b", "c"], ["z", "b"]]),
        ({"suffix": ["b"]}, [["a", "b"], ["z", "b"]]),
        ({"prefix": ["*", "b"]}, [["a", "b"], ["a", "b", "c"], ["z", "b"]]),
        ({"prefix": ["a"], "max_depth": 2}, [["a"], ["a", "b"]]),
        ({"max_depth": 1}, [["a"], ["z"]]),
        ({"max_depth": 0}, [[]]),
        ({"limit": 1, "offset": 1}, [["a", "b"]]),
        ({"limit": 0}, []),
        ({"prefix": []}, [["a"], ["a", "b"], ["a", "b", "c"], ["z", "b"]]),
    ):
        assert (await server.post(NAMESPACES, json=sent)).json() == {"namespaces": expected}, sent


async def test_through_the_sdk(server: httpx.AsyncClient) -> None:
    sdk = LangGraphClient(server)
    await sdk.store.put_item(["docs", "me"], key="one", value={"n": 1}, index=False, ttl=5)
    await sdk.store.put_item(["docs", "me"], key="two", value={"n": 2})
    assert (await sdk.store.get_item(["docs", "me"], key="one"))["value"] == {"n": 1}
    found = await sdk.store.search_items(["docs"], filter={"n": 2}, limit=5)
    assert [one["key"] for one in found["items"]] == ["two"]
    listed = await sdk.store.list_namespaces(prefix=["docs"], max_depth=1)
    assert listed == {"namespaces": [["docs"]]}
    await sdk.store.delete_item(["docs", "me"], key="one")
    assert await sdk.store.get_item(["docs", "me"], key="one") is None


async def test_each_user_has_a_store_of_their_own(clients: Clients) -> None:
    alice, bob = clients("alice"), clients("bob")
    await put(alice, "shared", key="of-alice")
    for path, sent in ((SEARCH, {"namespace_prefix": []}), (NAMESPACES, {})):
        (found,) = (await bob.post(path, json=sent)).json().values()
        assert found == []
    assert (await bob.get(ITEMS, params={"namespace": "shared", "key": "of-alice"})).text == "null"
    await bob.request("DELETE", ITEMS, json={"namespace": ["shared"], "key": "of-alice"})
    assert (await alice.get(ITEMS, params={"namespace": "shared", "key": "of-alice"})).json()["value"] == {"x": 1}


async def test_permissions(clients: Clients) -> None:
    reader = clients("alice", **{"x-scopes": "store:read"})
    assert (await reader.get(ITEMS, params={"namespace": "a", "key": "k"})).status_code == 200
    assert (await reader.post(SEARCH, json={})).status_code == 200
    body = {"namespace": ["a"], "key": "k", "value": {}}
    assert (await reader.put(ITEMS, json=body)).status_code == 403
    assert (await reader.request("DELETE", ITEMS, json=body)).status_code == 403
    nobody = clients("alice", **{"x-scopes": ""})
    assert (await nobody.post(SEARCH, json={})).status_code == 403
