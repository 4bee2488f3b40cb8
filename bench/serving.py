"""Our service over a real socket in this process, and a client that takes turns as a page would."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from codelab.auth.local import LOCAL
from codelab.core.settings import DatabaseSettings, ServerSettings, Settings
from codelab.llm.models import StaticModels
from codelab.runtime.compose import build_runtime
from codelab.server.app import create_app

TOKEN = "bench-token"  # noqa: S105 - of a server that lives for this run


class OurClient:
    """Takes turns over HTTP and SSE."""

    def __init__(self, http: httpx.AsyncClient, runtime: Any, workspace_id: str) -> None:
        self.http = http
        self.runtime = runtime
        self.workspace_id = workspace_id

    async def new_thread(self) -> str:
        """Begin a thread."""
        answer = await self.http.post("/api/v1/threads", json={"workspace_id": self.workspace_id})
        return str(answer.raise_for_status().json()["id"])

    async def seed(self, thread_id: str, messages: list[Any]) -> None:
        """Give a thread a history, as if it had been said."""
        config = {"configurable": {"thread_id": thread_id}}
        await self.runtime.graph.aupdate_state(config, {"messages": messages, "agent": "coder"}, as_node="coder")

    @asynccontextmanager
    async def following(self, thread_id: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """Follow a thread as an open page does: one stream over all its runs."""
        async with self.http.stream("GET", f"/api/v1/threads/{thread_id}/events") as response:
            yield _events(response)

    async def turn(self, thread_id: str, text: str, events: AsyncIterator[dict[str, Any]]) -> None:
        """POST, wait for the interrupt, decide, wait for the end."""
        body = {"text": text, "agent": "coder"}
        started = await self.http.post(f"/api/v1/threads/{thread_id}/runs", json=body)
        started.raise_for_status()
        outcome = await _rest(events)
        approval = outcome["interrupts"][0]["id"]
        decided = await self.http.post(f"/api/v1/approvals/{approval}", json={"decision": "approve"})
        decided.raise_for_status()
        assert (await _rest(events))["type"] == "success"


async def _rest(events: AsyncIterator[dict[str, Any]]) -> dict[str, Any]:
    async for event in events:
        assert event["type"] != "RUN_ERROR", event
        if event["type"] == "RUN_FINISHED":
            outcome: dict[str, Any] = event["outcome"]
            return outcome
    raise AssertionError("the stream ended before the run")


async def _events(response: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    response.raise_for_status()
    async for line in response.aiter_lines():
        if line.startswith("data:"):
            yield json.loads(line[5:])


@asynccontextmanager
async def served(folder: Path, database: str, model: Any) -> AsyncIterator[OurClient]:
    """Serve with this model on a free port."""
    settings = Settings(
        data_dir=folder / "data",
        database=DatabaseSettings(url=database),
        server=ServerSettings(token=TOKEN),
        _env_file=None,
    )
    app = create_app(settings, runtime=build_runtime(settings, models=StaticModels(model)))
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:  # else asyncio leaves Nagle on: 40 ms a request
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        serving = asyncio.create_task(server.serve([listener]))
        while not server.started:  # noqa: ASYNC110 - uvicorn tells by a flag only
            await asyncio.sleep(0.01)
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with httpx.AsyncClient(base_url=base, headers={"authorization": f"Bearer {TOKEN}"}, timeout=60) as http:
            runtime = app.state.runtime
            workspace = await runtime.workspaces.register(LOCAL, folder / "workspace", trusted=True)
            yield OurClient(http, runtime, workspace.id)
        server.should_exit = True
        await serving
