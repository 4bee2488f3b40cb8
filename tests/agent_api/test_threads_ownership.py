"""Whose threads: somebody else's is no thread at all, on every route; and what one needs to be let in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.agent_api.people import Clients
from tests.agent_api.thread_graphs import got, made, sent

AT = {"checkpoint": {"checkpoint_id": "6f1c9b1e-7a53-4c0e-9d43-2f1a6f7d0b11"}}
ROUTES: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("PATCH", "", {"metadata": {"mine": "now"}}),
    ("DELETE", "", None),
    ("GET", "/state", None),
    ("POST", "/state", {"values": {"log": ["x"]}, "as_node": "first"}),
    ("GET", "/state/6f1c9b1e-7a53-4c0e-9d43-2f1a6f7d0b11", None),
    ("POST", "/state/checkpoint", AT),
    ("GET", "/history", None),
    ("POST", "/history", {}),
    ("POST", "/copy", None),
    ("GET", "/storage", None),
]
READS = {"/state/checkpoint", "/history"}
IDS = [f"{method} {path}" for method, path, _ in ROUTES]


@pytest.fixture
async def alices(api: httpx.AsyncClient) -> AsyncIterator[str]:
    """A thread of Alice's; it must be as it was."""
    thread = await made(api, "ask", metadata={"of": "alice"})
    before = await got(api, thread)
    yield thread
    assert await got(api, thread) == before


async def call(api: httpx.AsyncClient, method: str, path: str, body: Any) -> httpx.Response:
    return await api.request(method, path, json=body)


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=IDS)
async def test_somebody_elses_thread_is_none(user: Clients, alices: str, method: str, path: str, body: Any) -> None:
    async with user("bob") as bob:
        answer = await call(bob, method, f"{alices}{path}", body)
    assert answer.status_code == 404
    assert answer.json() == {"detail": f"Thread with ID {alices.removeprefix('/threads/')} not found"}


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=IDS)
async def test_a_bad_id_and_an_unknown_one(api: httpx.AsyncClient, method: str, path: str, body: Any) -> None:
    bad = await call(api, method, f"/threads/nope{path}", body)
    assert (bad.status_code, bad.json()) == (422, {"detail": "Invalid thread ID: must be a UUID"})
    assert (await call(api, method, f"/threads/6f1c9b1e-7a53-4c0e-9d43-2f1a6f7d0b11{path}", body)).status_code == 404


@pytest.mark.parametrize(("method", "path", "body"), ROUTES, ids=IDS)
async def test_the_order_of_refusals(user: Clients, alices: str, method: str, path: str, body: Any) -> None:
    """Who may not do this learns no more than that, not even whether there is such a thread."""
    needed = "threads:read" if method == "GET" or path in READS else "threads:write"
    other = "threads:write" if needed == "threads:read" else "threads:read"
    async with user("bob", **{"x-scopes": other}) as bob:
        for thread in (alices, "/threads/6f1c9b1e-7a53-4c0e-9d43-2f1a6f7d0b11"):
            answer = await call(bob, method, f"{thread}{path}", body)
            assert (answer.status_code, answer.json()) == (403, {"detail": f"This needs the permission {needed}."})
    async with user("bob", **{"x-scopes": needed}) as bob:
        assert (await call(bob, method, f"{alices}{path}", body)).status_code == 404


async def test_lists_hold_ones_own(user: Clients, alices: str) -> None:
    name = alices.removeprefix("/threads/")
    async with user("bob") as bob:
        for asked in ({}, {"ids": [name]}, {"metadata": {"of": "alice"}}, {"values": {"n": 1}}):
            assert await sent(bob, "/threads/search", asked) == []
            assert await sent(bob, "/threads/count", asked) == 0
        assert await sent(bob, "/threads/prune", {"thread_ids": [name]}) == {"pruned_count": 0}
        keep = {"thread_ids": [name], "strategy": "keep_latest"}
        assert await sent(bob, "/threads/prune", keep) == {"pruned_count": 0}


async def test_an_id_that_somebody_else_has_is_taken(user: Clients, alices: str) -> None:
    name = alices.removeprefix("/threads/")
    steps = [{"updates": [{"values": {"log": ["x"]}, "as_node": "first"}]}]
    async with user("bob") as bob:
        for how in ("raise", "do_nothing"):
            for more in ({}, {"graph_id": "ask", "supersteps": steps}):
                answer = await sent(bob, "/threads", {"thread_id": name, "if_exists": how, **more}, status=409)
                assert answer == {"detail": f"Thread with ID {name} already exists"}


async def test_a_checkpoint_of_another_thread_is_none(user: Clients, alices: str) -> None:
    """A checkpoint's address says which thread it is of; here the path's thread counts and nothing else."""
    async with user("alice") as alice, user("bob") as bob:
        at = (await got(alice, f"{alices}/state"))["checkpoint"]
        bobs = await made(bob, graph_id="ask")
        for asked in (at, {"configurable": at}):
            shown = await sent(bob, f"{bobs}/state/checkpoint", {"checkpoint": asked})
            assert (shown["values"], shown["created_at"]) == ({}, None)
            assert await sent(bob, f"{bobs}/history", {"checkpoint": asked, "limit": 10}) == []
        await sent(bob, f"{bobs}/state", {"values": {"log": ["x"]}, "as_node": "first", "checkpoint": at})
        assert (await got(bob, f"{bobs}/state"))["values"] == {"log": ["x"]}


@pytest.mark.parametrize("nul", ["a\x00b", "\x00"])
async def test_a_nul_reaches_no_database(api: httpx.AsyncClient, nul: str) -> None:
    thread = await made(api, "ask", metadata={"k": nul, nul: 1})
    bodies: list[tuple[str, Any]] = [
        ("/threads/search", {"metadata": {"k": nul}}),
        ("/threads/search", {"metadata": {nul: 1}}),
        ("/threads/count", {"values": {"log": [nul]}}),
        (f"{thread}/history", {"metadata": {"source": nul}}),
        (f"{thread}/history", {"before": nul}),
        (f"{thread}/history", {"checkpoint": {"checkpoint_ns": nul}}),
        (f"{thread}/state/checkpoint", {"checkpoint": {"checkpoint_id": nul}}),
        (f"{thread}/state", {"values": {"log": [nul]}, "as_node": "first"}),
        (f"{thread}/state", {"values": {"log": ["x"]}, "as_node": nul}),
    ]
    for path, body in bodies:
        assert (await api.post(path, json=body)).status_code < 500, (path, body)
    assert (await api.get(f"{thread}/state/%00")).status_code < 500
    assert (await api.get(f"{thread}/history", params={"before": nul})).status_code < 500
