"""An Agent Server of given graphs in this process, on a real port: streams stream, and a client can hang up."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from inspect import isawaitable
from typing import Any

import httpx
import uvicorn

from codelab.auth.local import LOCAL
from codelab.core.settings import AuthSettings, DatabaseSettings, RunSettingsGroup, Settings
from codelab.runtime.agent import build_agent_runtime
from codelab.runtime.graphs.registry import GraphRegistry
from codelab.server.agent_api.app import agent_app


class Quiet(uvicorn.Server):
    """uvicorn that leaves the signals of the tests' process alone."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


@asynccontextmanager
async def serving(graphs: Mapping[str, Any], database_url: str, **runs: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve; a client of the server.

    Args:
        graphs: By id.
        database_url: At head.
        runs: Settings of the group `runs`.
    """
    settings = Settings(
        database=DatabaseSettings(url=database_url),
        auth=AuthSettings(mode="anonymous"),
        runs=RunSettingsGroup(**runs),
        _env_file=None,
    )
    async with build_agent_runtime(settings, GraphRegistry(graphs)) as agent:
        app = agent_app(agent)

        async def let_in(scope: Any, receive: Any, send: Any) -> None:
            scope.setdefault("state", {})["principal"] = LOCAL
            await app(scope, receive, send)

        async with listening(let_in) as client:
            yield client


@asynccontextmanager
async def listening(app: Any, *, grace_s: int = 5, port: int = 0) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an app on a port; a client of it. At the end requests have `grace_s` seconds to end by themselves."""
    # With the protocol said asyncio sends small packets at once; else each answer waits 40 ms for the client's word.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", port))
        server = Quiet(uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=grace_s))
        served = asyncio.create_task(server.serve([listener]))
        await eventually(lambda: server.started or served.done(), "the server")
        assert not served.done(), served.result()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:
            yield client
        server.should_exit = True
        await served


async def eventually(check: Callable[[], Any], what: str, *, seconds: float = 20) -> Any:
    """Wait until `check` (plain or awaitable) gives something true, and give it."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        found = check()
        if isawaitable(found):
            found = await found
        if found:
            return found
        assert asyncio.get_running_loop().time() < deadline, f"timed out waiting for {what}"
        await asyncio.sleep(0.01)
