"""A project with a `langgraph.json`, written into a folder, and served without a socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from codelab.auth.anonymous import Anonymous
from codelab.core.settings import DatabaseSettings, ServerSettings, Settings
from codelab.runtime.graphs.loading import load_config
from codelab.server.agent_api.configured import create_configured_server

ECHO = """
from typing import Annotated, Any, TypedDict
import operator
from langchain_core.runnables import RunnableConfig
from langgraph.graph import START, StateGraph

class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]
    seen: dict[str, Any]

def note(state: State, config: RunnableConfig):
    told = {k: v for k, v in config["configurable"].items() if isinstance(v, (str, dict, list))}
    return {"log": ["echo"], "seen": told}

graph = StateGraph(State).add_node("note", note).add_edge(START, "note").compile()
"""

AUTH = """
from langgraph_sdk import Auth

auth = Auth()

@auth.authenticate
async def authenticate(authorization: str | None):
    scheme, _, name = (authorization or "").partition(" ")
    if scheme != "Bearer" or not name:
        raise Auth.exceptions.HTTPException(status_code=401, detail="Who are you?")
    return {"identity": name, "permissions": ["talk"], "org": "acme"}
"""

Clients = Callable[..., httpx.AsyncClient]


def project(folder: Path, files: dict[str, str] | None = None, **config: Any) -> Path:
    """Write a project; its config file. It has the graph `echo` unless the config names others."""
    for name, text in {"app.py": ECHO, "auth.py": AUTH, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    path = folder / "langgraph.json"
    path.write_text(json.dumps({"dependencies": ["."], "graphs": {"echo": "./app.py:graph"}, **config}))
    return path


@asynccontextmanager
async def config_served(path: Path, database_url: str, **server: Any) -> AsyncIterator[Clients]:
    """Serve a config; a function that makes a client of whoever it is given."""
    settings = Settings(database=DatabaseSettings(url=database_url), server=ServerSettings(**server), _env_file=None)
    app = create_configured_server(load_config(path), settings, auth=Anonymous())
    async with alive(app) as state:

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": dict(state)}, receive, send)

        transport = httpx.ASGITransport(app=with_state, raise_app_exceptions=False)

        def client(user: str = "", **headers: str) -> httpx.AsyncClient:
            known = {"authorization": f"Bearer {user}"} if user else {}
            base = "http://localhost"
            return httpx.AsyncClient(transport=transport, base_url=base, headers=known | headers, timeout=20)

        yield client


@asynccontextmanager
async def alive(app: Any) -> AsyncIterator[dict[str, Any]]:
    """Live through an ASGI app's lifespan, as a server does; what requests find in their state."""
    inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    state: dict[str, Any] = {}
    task = asyncio.create_task(app({"type": "lifespan", "state": state}, inbox.get, said.put))
    await inbox.put({"type": "lifespan.startup"})
    started = asyncio.create_task(said.get())
    await asyncio.wait({started, task}, return_when=asyncio.FIRST_COMPLETED)
    if not started.done():
        started.cancel()
        await task  # raises what went wrong
    assert started.result()["type"] == "lifespan.startup.complete", started.result()
    try:
        yield state
    finally:
        await inbox.put({"type": "lifespan.shutdown"})
        await task


async def ran(api: httpx.AsyncClient, thread: str | None = None, **more: Any) -> dict[str, Any]:
    """The values after a run of `echo`."""
    path = f"/threads/{thread}/runs/wait" if thread else "/runs/wait"
    answer = await api.post(path, json={"assistant_id": "echo", "input": {"log": ["in"]}, **more})
    assert answer.status_code == 200, answer.text
    values: dict[str, Any] = answer.json()
    assert "__error__" not in values, values
    return values
