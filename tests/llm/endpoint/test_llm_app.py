"""The application that serves models alone, and `/v1` around the whole one, with the demo model behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr

from codelab.core.settings import DatabaseSettings, ServerSettings, Settings
from codelab.server.app import create_app
from codelab.server.llm_app import create_llm_app
from tests.llm.endpoint.doubles import asking
from tests.support.agent_server import eventually, listening

TOKEN = "llm-app-test-token"
HEAVY = ("langchain", "langgraph", "langsmith")
PROBE = f"""
import asyncio, json, sys
import httpx
from codelab.cli import serving_alone
from codelab.core.settings import DatabaseSettings, Settings
from codelab.server.llm_app import create_llm_app

app = create_llm_app(Settings(database=DatabaseSettings(url="sqlite://"), data_dir=sys.argv[1], _env_file=None))

async def main():
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport) as client:
        assert (await client.get("http://127.0.0.1/health")).status_code == 200
        assert (await client.get("http://127.0.0.1/v1/models")).status_code == 401

asyncio.run(main())
print(json.dumps(sorted(name for name in sys.modules if name.startswith({HEAVY!r}))))
"""


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database=DatabaseSettings(url="sqlite://"),
        server=ServerSettings(token=SecretStr(TOKEN)),
        _env_file=None,
    )


@pytest.fixture(params=["models", "whole"])
async def client(request, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_llm_app(settings) if request.param == "models" else create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            yield client


def test_a_process_that_serves_models_imports_no_langchain(tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


async def test_a_key_is_made_used_listed_rotated_and_revoked(client: httpx.AsyncClient) -> None:
    made = await client.post("/api/v1/api-keys", json={"name": "script", "requests_per_minute": 100})
    assert made.status_code == 201
    key = made.json()
    told = {"authorization": f"Bearer {key['key']}"}
    answer = await client.post("/v1/chat/completions", json=asking() | {"model": "strong"}, headers=told)
    assert answer.status_code == 200, answer.text
    assert "emo" in answer.json()["choices"][0]["message"]["content"]
    (listed,) = (await client.get("/api/v1/api-keys")).json()
    assert listed == {name: value for name, value in key.items() if name != "key"}
    rotated = (await client.post(f"/api/v1/api-keys/{key['id']}/rotate")).json()
    assert (await client.get("/v1/models", headers=told)).status_code == 401
    told = {"authorization": f"Bearer {rotated['key']}"}
    assert (await client.get("/v1/models", headers=told)).status_code == 200
    revoked = await client.delete(f"/api/v1/api-keys/{key['id']}")
    assert revoked.json()["revoked_at"]
    assert (await client.get("/v1/models", headers=told)).status_code == 401


async def test_a_key_opens_nothing_else(client: httpx.AsyncClient) -> None:
    made = (
        await client.post("/api/v1/api-keys", json={"name": "script", "scopes": ["llm:invoke", "usage:read"]})
    ).json()
    told = {"authorization": f"Bearer {made['key']}"}
    for path in ("/api/v1/api-keys", "/api/v1/usage", "/threads/search"):
        answer = await client.get(path, headers=told)
        assert answer.status_code == 401, path


async def test_a_key_of_a_strange_form_is_refused(client: httpx.AsyncClient) -> None:
    bodies = (
        {},
        {"name": ""},
        {"name": "a", "scopes": []},
        {"name": "a", "scopes": ["nonsense"]},
        {"name": "a", "requests_per_minute": 0},
        {"name": "a", "expires_in_days": 99_999},
        {"name": "a", "key": "sk-cl-chosen"},
        {"name": "a", "owner_id": "somebody"},
        {"name": "a\0b"},
        {"name": "a", "models": ["a\0b"]},
    )
    answers = [(await client.post("/api/v1/api-keys", json=body)).status_code for body in bodies]
    assert answers == [422] * len(bodies)


async def test_a_key_that_is_not_there(client: httpx.AsyncClient) -> None:
    answers = [(await client.delete(f"/api/v1/api-keys/{key}")).status_code for key in ("nothing", "a%00b", "x" * 300)]
    assert set(answers) <= {404, 422}


async def test_refusals_speak_the_dialect_of_their_path(client: httpx.AsyncClient) -> None:
    client.headers.pop("authorization")
    ours, theirs = await client.get("/v1/models"), await client.get("/api/v1/usage")
    assert ours.json()["error"]["code"] == "missing_api_key"
    assert theirs.headers["content-type"] == "application/problem+json"


async def test_what_was_used_is_told(client: httpx.AsyncClient) -> None:
    told = {"x-codelab-agent": "tester", "x-codelab-thread": "t-1"}
    answer = await client.post("/v1/chat/completions", json=asking() | {"model": "fast"}, headers=told)
    assert answer.headers["x-codelab-model"] == "demo"
    vectors = await client.post(
        "/v1/embeddings", json={"model": "embed", "input": ["a", "b"], "encoding_format": "base64"}
    )
    assert [type(one["embedding"]) for one in vectors.json()["data"]] == [str, str]
    unknown = await client.post("/v1/chat/completions", json=asking() | {"model": "no-such-model"})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "model_not_found")
    assert (await client.get("/api/v1/usage")).status_code == 200


async def test_without_the_role_there_is_no_endpoint(settings: Settings) -> None:
    app = create_app(settings, models=False)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            assert (await client.get("/v1/models")).status_code == 404


async def test_who_hangs_up_is_billed_for_what_was_said(settings: Settings) -> None:
    """Through the whole gateway: the demo model speaks slowly, and its client leaves after the first word."""
    async with listening(create_llm_app(settings)) as client:
        client.headers["authorization"] = f"Bearer {TOKEN}"
        body = asking(stream=True) | {"model": "strong"}
        async with client.stream("POST", "/v1/chat/completions", json=body) as response:
            request_id = response.headers["x-request-id"]
            await anext(response.aiter_raw())

        async def noted():
            return (await client.get("/api/v1/usage/requests")).json()["items"]

        (row,) = await eventually(noted, "the ledger's row")
    assert (row["request_id"], row["error"], row["estimated"]) == (request_id, "cancelled", True)
    assert 0 < row["completion_tokens"] < 50
