"""The app on a real runtime, spoken to without a socket; and people to be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from codelab.auth.local import LocalAuth
from codelab.core import permissions
from codelab.core.settings import DatabaseSettings, ServerSettings, Settings, WorkspaceSettings
from codelab.core.types import Principal
from codelab.llm.matching import When
from codelab.llm.models import StaticModels
from codelab.llm.scripted import Reply, Script, ScriptedCall, ScriptedChatModel
from codelab.runtime.compose import build_runtime
from codelab.server.app import create_app

TOKEN = "server-test-token"


class People:
    """An authenticator for tests: the token is the user's name; `reader-…` may only read."""

    cookie_name = "codelab_session"

    async def bearer(self, token: str, path: str = "/") -> Principal | None:  # noqa: ARG002
        if token.startswith("reader-"):
            return Principal(token, scopes=frozenset(p for p in permissions.ALL if p.endswith(":read")))
        return Principal(token, scopes=permissions.ALL) if token in {"alice", "bob"} else None

    async def lives(self, token: str) -> bool:
        return bool(token)

    async def cookie(self, value: str) -> Principal | None:
        return await self.bearer(value)


@pytest.fixture
def settings(tmp_path: Path, git_repo: Path) -> Settings:
    return Settings(
        data_dir=tmp_path / "data",
        database=DatabaseSettings(url="sqlite://"),
        server=ServerSettings(token=SecretStr(TOKEN)),
        workspaces=WorkspaceSettings(roots=[git_repo]),
        _env_file=None,
    )


@pytest.fixture
def model() -> ScriptedChatModel:
    write = ScriptedCall(name="write_file", args={"path": "note.txt", "content": "hello\n"})
    replies = (
        Reply(when=When(human="write", step=0), text="I write it.", tool_calls=(write,)),
        Reply(when=When(human="slow"), text="word " * 200, delay_s=0.05),
        Reply(text="Done."),
    )
    return ScriptedChatModel(script=Script(name="server", replies=replies))


async def _serving(app: FastAPI, token: str | None) -> AsyncIterator[httpx.AsyncClient]:
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            client.app = app  # type: ignore[attr-defined]
            yield client


@pytest.fixture
async def client(settings: Settings, model: ScriptedChatModel) -> AsyncIterator[httpx.AsyncClient]:
    """Local mode, signed in by its token."""
    app = create_app(settings, runtime=build_runtime(settings, models=StaticModels(model)))
    async for serving in _serving(app, TOKEN):
        yield serving


@pytest.fixture
async def people(settings: Settings, model: ScriptedChatModel) -> AsyncIterator[httpx.AsyncClient]:
    """Several users; each request names its own."""
    app = create_app(settings, runtime=build_runtime(settings, models=StaticModels(model)), auth=People())
    async for serving in _serving(app, None):
        yield serving


@pytest.fixture
def local_auth(client: httpx.AsyncClient) -> LocalAuth:
    auth: LocalAuth = client.app.state.auth  # type: ignore[attr-defined]
    return auth
