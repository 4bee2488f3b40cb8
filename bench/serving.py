"""Our service in a process of its own, served as `codelab serve` does it, and a client that takes turns as a page does.

`python -m bench.serving FOLDER DATABASE THREADS LONG` serves with the scripted model, prints its port and the threads
it made (with a long history if LONG is 1), and ends with its standard input.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from uvicorn.loops.auto import auto_loop_factory

from bench.scripts import ClockedChatModel, long_history, scripted
from bench.wire import Wire
from codelab.auth.local import LOCAL
from codelab.cli.listening import Server, listen
from codelab.core.settings import DatabaseSettings, ServerSettings, Settings
from codelab.llm.models import StaticModels
from codelab.runtime.compose import Runtime, build_runtime
from codelab.server.app import create_app

TOKEN = "bench-token"  # noqa: S105 - of a server that lives for this run
Events = AsyncIterator[dict[str, Any]]


class Client:
    """Takes turns over HTTP and SSE."""

    def __init__(self, port: int, threads: list[str]) -> None:
        self.threads = threads
        self._port = port
        self._calls = Wire(port, TOKEN)

    async def open(self) -> Client:
        """Connect for the calls; each stream has a connection of its own, as in a browser."""
        await self._calls.open()
        return self

    @asynccontextmanager
    async def following(self, thread_id: str) -> AsyncIterator[Events]:
        """Follow a thread as an open page does: one stream over all its runs."""
        wire = await Wire(self._port, TOKEN).open()
        try:
            yield await wire.follow(f"/api/v1/threads/{thread_id}/events")
        finally:
            wire.close()

    async def start(self, thread_id: str, text: str) -> None:
        """Say something."""
        await self._calls.post(f"/api/v1/threads/{thread_id}/runs", {"text": text, "agent": "coder"})

    async def turn(self, thread_id: str, text: str, events: Events) -> None:
        """POST, wait for the interrupt, decide, wait for the end."""
        await self.start(thread_id, text)
        outcome = await _rest(events)
        approval = outcome["interrupts"][0]["id"]
        await self._calls.post(f"/api/v1/approvals/{approval}", {"decision": "approve"})
        assert (await _rest(events))["type"] == "success"


async def _rest(events: Events) -> dict[str, Any]:
    async for event in events:
        assert event["type"] != "RUN_ERROR", event
        if event["type"] == "RUN_FINISHED":
            outcome: dict[str, Any] = event["outcome"]
            return outcome
    raise AssertionError("the stream ended before the run")


@asynccontextmanager
async def served(folder: Path, database: str, *, threads: int, long: bool) -> AsyncIterator[Client]:
    """Start the process and connect to it."""
    args = [sys.executable, "-m", "bench.serving", str(folder), database, str(threads), str(int(long))]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*args, stdin=pipe, stdout=pipe, limit=1 << 20)
    assert process.stdin
    assert process.stdout
    try:
        told = json.loads(await process.stdout.readline())
        yield await Client(told["port"], told["threads"]).open()
    finally:
        process.stdin.close()
        await process.wait()


async def _threads(runtime: Runtime, folder: Path, count: int, *, long: bool) -> list[str]:
    workspace = await runtime.workspaces.register(LOCAL, folder / "workspace", trusted=True)
    made = [(await runtime.threads.create(LOCAL, workspace_id=workspace.id)).id for _ in range(count)]
    for thread in made if long else ():
        config: Any = {"configurable": {"thread_id": thread}}
        said = {"messages": long_history(), "agent": "coder"}
        await runtime.graph.aupdate_state(config, said, as_node="coder")
    return made


async def _serve(folder: Path, database: str, count: int, *, long: bool) -> int:
    settings = Settings(
        data_dir=folder / "data",
        database=DatabaseSettings(url=database),
        server=ServerSettings(port=0, token=SecretStr(TOKEN)),
        _env_file=None,
    )
    app = create_app(
        settings, runtime=build_runtime(settings, models=StaticModels(ClockedChatModel(script=scripted().script)))
    )

    async def welcome(server: Server) -> bool:
        made = await _threads(app.state.runtime, folder, count, long=long)
        sys.stdout.write(json.dumps({"port": server.port, "threads": made}) + "\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        return True

    return await listen(app, settings, welcome)


if __name__ == "__main__":
    logging.disable(logging.INFO)
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(_serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), long=sys.argv[4] == "1"))
