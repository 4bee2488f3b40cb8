"""Administrators see and forget what is their tenant's, whoever else uses the server."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import Depends, FastAPI, Request

from codelab.core import permissions
from codelab.core.types import Principal
from codelab.llm.cache.admin import CacheAdmin
from codelab.llm.chat import Caller
from codelab.server import errors
from codelab.server.rest import llm_cache
from tests.llm.cache.support import ask, cache, found, store

PEOPLE = {
    "alice": Principal("alice", scopes=permissions.ALL),
    "eve": Principal("eve", tenant_id="other", scopes=permissions.ALL),
    "bob": Principal("bob", scopes=permissions.ALL - {"llm:admin"}),
}
PATH = "/api/v1/llm-cache"
OTHERS = Caller(user_id="eve", tenant_id="other")


@pytest.fixture
def answers():
    return cache()


@pytest.fixture
async def client(answers) -> AsyncIterator[httpx.AsyncClient]:
    async def whoever(request: Request) -> None:
        request.state.principal = PEOPLE.get(request.headers.get("x-who", ""))

    app = FastAPI(dependencies=[Depends(whoever)])
    errors.install(app)
    app.include_router(llm_cache.router, prefix="/api/v1")
    app.dependency_overrides[llm_cache.cache_of] = lambda: CacheAdmin(answers)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://t") as client:
        yield client


async def forget(client, who: str = "alice", **what) -> int:
    return (await client.post(f"{PATH}/invalidate", json=what, headers={"x-who": who})).status_code


async def test_figures_are_the_tenants(client, answers):
    store(answers, ask(), cost=700)
    await found(answers, ask())
    told = (await client.get(PATH, headers={"x-who": "alice"})).json()
    assert (told["hits"], told["saved"], told["hit_rate"], told["store"]["kind"]) == (1, 700, 1.0, "memory")
    names = {"misses", "stale", "shared", "semantic", "semantic_hit_rate", "semantic_precision"}
    assert names <= told.keys()
    assert {"evictions", "bytes"} <= told["store"].keys()
    assert (await client.get(PATH, headers={"x-who": "eve"})).json()["hits"] == 0


@pytest.mark.parametrize("who", ["bob", "nobody"])
async def test_it_needs_llm_admin(client, who):
    expected = {"bob": 403, "nobody": 401}[who]
    assert (await client.get(PATH, headers={"x-who": who})).status_code == expected
    assert await forget(client, who, tenant=True) == expected


async def test_a_tenant_forgets_its_own_and_nobody_elses(client, answers):
    store(answers, ask())
    key = store(answers, ask(caller=OTHERS)).name
    assert await forget(client, tenant=True) == 204
    assert await forget(client, tags=["model:m"]) == 204
    assert await forget(client, key=key) == 404
    assert await found(answers, ask()) is None
    assert await found(answers, ask(caller=OTHERS)) is not None
    assert await forget(client, "eve", key=key) == 204
    assert await found(answers, ask(caller=OTHERS)) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tags": []},
        {"tags": [""]},
        {"tags": ["x" * 201]},
        {"tags": ["a"] * 101},
        {"tags": ["a"], "tenant": True},
        {"key": "no hex"},
        {"tenant": False},
        {"tenant": "other"},
        {"everything": True},
    ],
    ids=str,
)
async def test_what_cannot_be_meant_is_refused(client, answers, body):
    store(answers, ask())
    assert await forget(client, **body) == 422
    assert await found(answers, ask()) is not None
