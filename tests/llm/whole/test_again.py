"""A server that is started again, on what the one before left, on what is broken, and without what it wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from codelab.core.settings import Settings
from codelab.llm.scripted import Script
from codelab.llm.scripted_server import RunningServer, serve
from codelab.server.llm_app import LlmRuntime
from tests.llm.whole.world import CHAT, World, asking, bearing, catalogue, opened, settings_of
from tests.support.agent_server import eventually
from tests.support.upstream import Upstream

SCRIPT = Script.model_validate({"name": "again", "replies": [{"text": "Said once."}]})


@pytest.fixture
async def models() -> AsyncIterator[RunningServer]:
    async with serve(SCRIPT) as server:
        yield server


@pytest.fixture
def settings(tmp_path: Path, models: RunningServer) -> Settings:
    catalog = catalogue(tmp_path, {"lab": {"kind": "openai", "base_url": models.url}}, {"m": {"provider": "lab"}})
    return settings_of(tmp_path, catalog)


@asynccontextmanager
async def server(settings: Settings) -> AsyncIterator[World]:
    async with opened(settings) as (http, runtime):
        yield World(http, runtime, Upstream())


async def ask(served: World, **more: str) -> httpx.Response:
    return await served.chat("m", temperature=0, told={f"x-codelab-{name}": value for name, value in more.items()})


async def test_what_one_server_knew_the_next_one_knows(settings: Settings, models: RunningServer) -> None:
    async with server(settings) as served:
        key = await served.key()
        budget = await served.limit(600_000, "agent", "thrifty")
        told = {"x-codelab-agent": "thrifty", "x-codelab-cache": "on"}
        answer = await served.chat("m", whom=key["key"], temperature=0, told=told)
        assert (answer.status_code, answer.headers["x-codelab-cache"]) == (200, "miss")
        spent, _ = await served.spent(budget)
        assert spent > 0
    async with server(settings) as served:
        row = await served.row(agent="thrifty")
        assert (row["key_id"], row["cost"], row["error"]) == (key["id"], spent, "")
        assert await served.spent(budget) == (spent, 0)
        again = await served.chat("m", whom=key["key"], temperature=0)
        assert (again.status_code, again.headers["x-codelab-cache"]) == (200, "hit")
        assert again.json()["choices"][0]["message"]["content"] == "Said once."
        statuses = [(await ask(served, agent="thrifty", cache="off")).status_code for _ in range(40)]
        assert statuses[-1] == 402  # what was spent before counts
        assert (await served.spent(budget))[0] <= 600_000
    assert len(models.requests) == 1 + statuses.count(200)


@pytest.mark.parametrize("left", [b"\x00" * 5_000, b"not a database, but long enough to be one" * 200, b""])
async def test_a_broken_cache_file_is_no_reason_not_to_answer(settings: Settings, left: bytes) -> None:
    settings.data_dir.mkdir(parents=True)
    path = settings.data_dir / "llm-cache.db"
    path.write_bytes(left)
    for expected in (["miss", "hit"], ["hit"]):
        async with server(settings) as served:
            for outcome in expected:
                answer = await eventually_cached(served, outcome)
                assert answer.status_code == 200
                assert answer.headers["x-codelab-cache"] == outcome


async def eventually_cached(served: World, outcome: str) -> httpx.Response:
    """Ask until the store has caught up."""

    async def asked() -> httpx.Response | None:
        answer = await ask(served)
        return answer if answer.headers["x-codelab-cache"] == outcome else None

    return await eventually(asked, f"a {outcome}", seconds=5)


async def test_a_folder_that_cannot_be_written_to_leaves_the_cache_in_memory(settings: Settings) -> None:
    nowhere = settings.model_copy(update={"data_dir": Path("/proc/nowhere")})
    async with server(nowhere) as served:
        assert (await ask(served)).headers["x-codelab-cache"] == "miss"
        assert (await eventually_cached(served, "hit")).status_code == 200


async def test_without_redis_everything_is_asked_anew(settings: Settings, models: RunningServer) -> None:
    redis = settings.redis.model_copy(update={"url": "redis://127.0.0.1:1/0"})
    async with server(settings.model_copy(update={"redis": redis})) as served:
        answers = [await ask(served) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        assert {answer.headers["x-codelab-cache"] for answer in answers} == {"miss"}
        forgotten = await served.http.post("/api/v1/llm-cache/invalidate", json={"tenant": True})
        assert forgotten.status_code == 503  # nothing was forgotten, and that is said
    assert len(models.requests) == 3


async def test_a_server_that_is_stopped_tells_those_who_still_read(tmp_path: Path) -> None:
    """The stream ends without `[DONE]`, and what was said is in the ledger."""
    slow = Script.model_validate({"name": "slow", "replies": [{"text": "word " * 400, "delay_s": 0.05}]})
    async with serve(slow) as models:
        catalog = catalogue(tmp_path, {"lab": {"kind": "openai", "base_url": models.url}}, {"m": {"provider": "lab"}})
        settings = settings_of(tmp_path, catalog)
        read, began = bytearray(), asyncio.Event()

        async def reading(base: httpx.URL) -> None:
            async with (
                httpx.AsyncClient(base_url=base, headers=bearing("ann@t1")) as http,
                http.stream("POST", CHAT, json=asking("m", stream=True)) as answer,
            ):
                async for part in answer.aiter_raw():
                    read.extend(part)
                    began.set()

        async with server(settings) as served:
            reader = asyncio.create_task(reading(served.http.base_url))
            await began.wait()
            runtime: LlmRuntime = served.runtime
            await runtime.llm.gateway.close()
        await asyncio.wait([reader])
        assert b"[DONE]" not in read
        async with server(settings) as served:
            row = await served.row()
            assert row["error"] in {"cancelled", "upstream_interrupted"}
            assert row["cost"] > 0
