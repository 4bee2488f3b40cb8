"""The application that serves models, on a port, before a provider that fails as it is told; two tenants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from codelab.core import permissions
from codelab.core.settings import DatabaseSettings, RedisSettings, Settings
from codelab.core.settings_llm import LedgerSettings, LLMSettings, ResilienceSettings, ResponseCacheSettings
from codelab.core.types import Principal
from codelab.server.llm_app import LlmRuntime, create_llm_app
from tests.llm.providers.dialects import DIALECTS, KEY
from tests.support.agent_server import eventually, listening
from tests.support.upstream import Upstream

CHAT = "/v1/chat/completions"
INPUT, OUTPUT = 1_000, 5_000
"""Nano-dollars a token: one dollar and five dollars for a million."""
UPSTREAMS = {dialect.name: dialect.upstream for dialect in DIALECTS}


class People:
    """Everybody is who their token says: `user@tenant`, and what they may do after a `?` (all if nothing is said)."""

    cookie_name = "codelab_session"

    async def bearer(self, token: str, path: str = "/") -> Principal | None:  # noqa: ARG002
        name, _, scopes = token.partition("?")
        user, at, tenant = name.partition("@")
        may = frozenset(scopes.split("+")) if scopes else permissions.ALL
        return Principal(user, tenant_id=tenant, scopes=may) if at else None

    async def cookie(self, value: str) -> Principal | None:
        del value
        return None

    async def lives(self, token: str) -> bool:
        return bool(token)

    async def bounded(self, principal: Principal) -> Principal:
        return principal

    def nobody(self) -> Principal | None:
        return None


@dataclass
class World:
    """What a test holds.

    Attributes:
        http: Asks as ann, who may do everything in her tenant `t1`.
        up: The provider behind every row that is not named otherwise.
        rows: Rows of the catalogue that nobody has asked yet, by API: each with breakers of its own.
    """

    http: httpx.AsyncClient
    runtime: LlmRuntime
    up: Upstream
    rows: dict[str, Iterator[str]] = field(default_factory=dict)

    def fresh(self, dialect: str = "openai") -> str:
        """A model that was never asked."""
        return next(self.rows[dialect])

    @property
    def open_upstreams(self) -> int:
        """Connections to providers that are in use."""
        return int(self.runtime.llm.upstreams.lines._adapters.http.open_connections)

    async def chat(self, model: str, *, whom: str = "ann@t1", told: dict[str, str] | None = None, **body: Any):
        return await self.http.post(CHAT, json=asking(model, **body), headers=bearing(whom) | (told or {}))

    async def get(self, path: str, *, whom: str = "ann@t1", **query: Any) -> Any:
        answer = await self.http.get(f"/api/v1{path}", params=query, headers=bearing(whom))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def row(self, **query: Any) -> dict[str, Any]:
        """The only row of the ledger that fits, once it is written."""

        async def written() -> Any:
            return (await self.get("/usage/requests", **query))["items"]

        (row,) = await eventually(written, "the ledger's row")
        return row

    async def limit(self, amount: int, scope: str = "user", subject: str = "*", **more: Any) -> str:
        body = {"scope": scope, "subject": subject, "period": "total", "limit": amount, **more}
        answer = await self.http.put("/api/v1/budgets", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def spent(self, budget_id: str) -> tuple[int, int]:
        """What is spent and reserved of a budget that one subject uses."""
        accounts = (await self.get(f"/budgets/{budget_id}"))["accounts"]
        return (accounts[0]["spent"], accounts[0]["reserved"]) if accounts else (0, 0)

    async def state(self, model: str) -> dict[str, Any]:
        """How a model is doing."""
        providers = (await self.get("/providers"))["providers"]
        return next(each for provider in providers for each in provider["models"] if each["id"] == model)

    async def key(self, whom: str = "ann@t1", **options: Any) -> dict[str, Any]:
        answer = await self.http.post("/api/v1/api-keys", json={"name": "test", **options}, headers=bearing(whom))
        assert answer.status_code == 201, answer.text
        return answer.json()


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def asking(model: str, **body: Any) -> dict[str, Any]:
    """A small request whose answer has a bound."""
    return {"model": model, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 100, **body}


def catalogue(folder: Path, providers: dict[str, dict[str, Any]], models: dict[str, dict[str, Any]]) -> Path:
    """Write a catalogue; what is not said costs a dollar and five, and sees."""
    priced = {
        name: {"price": {"input": 1, "output": 5}, "capabilities": ["tools", "json", "vision"], **row}
        for name, row in models.items()
    }
    path = folder / "models.yaml"
    path.write_text(yaml.safe_dump({"providers": providers, "models": priced}), "utf-8")
    return path


def settings_of(folder: Path, catalog: Path | None, *, redis: str | None = None, **llm: Any) -> Settings:
    """Settings under which nothing waits long."""
    resilience = ResilienceSettings(**{"patience_s": 0, "retry_per_s": 0, **llm.pop("resilience", {})})
    cache = ResponseCacheSettings(**llm.pop("cache", {}))
    given = {"timeout_s": 10, "max_retries": 0, "ledger": LedgerSettings(flush_s=0.01), **llm}
    return Settings(
        data_dir=folder / "data",
        database=DatabaseSettings(url=f"sqlite:///{folder / 'codelab.db'}"),
        redis=RedisSettings(url=redis),
        llm=LLMSettings(catalog=catalog, resilience=resilience, cache=cache, **given),
        _env_file=None,
    )


@asynccontextmanager
async def world(folder: Path, *, each: int = 4, more: dict[str, Any] | None = None, **llm: Any) -> AsyncIterator[World]:
    """Serve; `each` untouched rows for each API, and `more` rows (`{}`: an OpenAI one at the same provider)."""
    up = Upstream()
    server = await asyncio.start_server(up.serve, "127.0.0.1", 0)
    up.port = server.sockets[0].getsockname()[1]
    names = {kind: [f"{kind}-{number}" for number in range(each)] for kind in UPSTREAMS}
    kinds = {name: kind for kind, found in names.items() for name in found} | dict.fromkeys(more or {}, "openai")
    providers = {name: {"kind": kind, "base_url": up.url, "key_env": "WORLD_KEY"} for name, kind in kinds.items()}
    models = {
        name: {"provider": name, "upstream": UPSTREAMS[kind], **(more or {}).get(name, {})}
        for name, kind in kinds.items()
    }
    settings = settings_of(folder, catalogue(folder, providers, models), **llm)
    try:
        with environment(WORLD_KEY=KEY):
            async with opened(settings) as (http, runtime):
                yield World(http, runtime, up, {kind: iter(found) for kind, found in names.items()})
    finally:
        server.close()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[tuple[httpx.AsyncClient, LlmRuntime]]:
    """Serve models under some settings."""
    app = create_llm_app(settings, auth=People())
    async with listening(app, grace_s=1) as http:
        http.headers.update(bearing("ann@t1"))
        yield http, app.state.runtime


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Have some environment variables while the catalogue is read."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield
