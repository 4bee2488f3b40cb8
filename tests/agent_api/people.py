"""The routes of the Agent Server API without a socket; each client is somebody."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx

from codelab.core import permissions
from codelab.core.settings import DatabaseSettings, Settings, WebhookSettings
from codelab.core.types import Principal
from codelab.runtime.agent import AgentRuntime, build_agent_runtime
from codelab.runtime.graphs.registry import GraphRegistry
from codelab.server.agent_api.app import agent_app


class Somebody:
    """The door: whoever `x-user` names has come in, with the scopes of `x-scopes` or all."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        scopes = headers.get(b"x-scopes", b" ".join(name.encode() for name in permissions.ALL)).decode().split()
        principal = Principal(headers.get(b"x-user", b"alice").decode(), scopes=frozenset(scopes))
        scope.setdefault("state", {})["principal"] = principal
        await self._app(scope, receive, send)


Clients = Callable[..., httpx.AsyncClient]


@asynccontextmanager
async def people(
    graphs: Mapping[str, Any], database_url: str, **webhooks: Any
) -> AsyncIterator[tuple[AgentRuntime, Clients]]:
    """Serve; a function that makes a client of the user it is given."""
    settings = Settings(
        database=DatabaseSettings(url=database_url), webhooks=WebhookSettings(**webhooks), _env_file=None
    )
    async with AsyncExitStack() as stack:
        agent = await stack.enter_async_context(build_agent_runtime(settings, GraphRegistry(graphs)))
        transport = httpx.ASGITransport(app=Somebody(agent_app(agent)), raise_app_exceptions=False)

        def client(user: str = "alice", **headers: str) -> httpx.AsyncClient:
            return httpx.AsyncClient(transport=transport, base_url="http://test", headers={"x-user": user, **headers})

        yield agent, client
