"""Graphs for the tests of the thread protocol, and a client that reads its streams."""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict
from uuid import uuid4

import httpx
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.stream.transformers import CustomTransformer, UpdatesTransformer
from langgraph.types import Send, interrupt

from tests.support.agent_server import eventually

ALL = ["values", "updates", "messages", "tools", "lifecycle", "input", "tasks", "custom", "checkpoints"]
Event = dict[str, Any]


class State(TypedDict, total=False):
    mode: str
    items: Annotated[list[str], operator.add]


async def work(state: State) -> State:
    get_stream_writer()({"name": "step", "x": 1})
    if state["mode"] == "error":
        raise ValueError("boom")
    if state["mode"] == "slow":
        await asyncio.sleep(60)
    return {"items": ["work"]}


def ask(state: State) -> State:
    return {"items": [interrupt({"q": state["mode"]})]}


def sub_ask(_state: State) -> State:
    return {"items": [interrupt({"q": "inside"})]}


def route(state: State) -> Any:
    if state["mode"] == "two":
        return [Send("ask", {"mode": "a"}), Send("ask", {"mode": "b"})]
    return {"sub": "sub", "ask": "ask"}.get(state["mode"], END)


def graph() -> Any:
    inner = StateGraph(State)
    inner.add_node("sub_ask", sub_ask)
    inner.add_edge(START, "sub_ask")
    outer = StateGraph(State)
    outer.add_node("work", work)
    outer.add_node("sub", inner.compile())
    outer.add_node("ask", ask)
    outer.add_edge(START, "work")
    outer.add_conditional_edges("work", route, ["sub", "ask", END])
    return outer.compile(transformers=[CustomTransformer, UpdatesTransformer])


class Thread:
    """One thread as a client of the protocol sees it."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client
        self.id = str(uuid4())
        self.sent = 0

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        self.sent += 1
        body = {"id": self.sent, "method": method, "params": params}
        answer = await self.client.post(f"/threads/{self.id}/commands", json=body)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        assert told["id"] == body["id"]
        return told

    async def start(self, mode: str, **more: Any) -> str:
        told = await self.command("run.start", assistant_id="g", input={"mode": mode}, **more)
        assert told["type"] == "success", told
        return str(told["result"]["run_id"])

    async def status(self, run_id: str) -> str:
        return str((await self.client.get(f"/threads/{self.id}/runs/{run_id}")).json()["status"])

    @asynccontextmanager
    async def listening(self, *channels: str, **more: Any) -> AsyncIterator[list[Event]]:
        """Open a stream; the list grows while it is open."""
        events: list[Event] = []
        opened = asyncio.Event()
        body = {"channels": list(channels) or ALL, **more}

        async def read() -> None:
            async with self.client.stream("POST", f"/threads/{self.id}/stream/events", json=body) as answer:
                assert answer.status_code == 200
                assert answer.headers["content-type"].startswith("text/event-stream")
                opened.set()
                frame: dict[str, str] = {}
                async for line in answer.aiter_lines():
                    if line.startswith(":"):
                        continue
                    name, _, value = line.partition(": ")
                    frame[name] = value
                    if not line:
                        events.append(_event(frame))
                        frame = {}

        reading = asyncio.create_task(read())
        try:
            await asyncio.wait({reading, asyncio.create_task(opened.wait())}, return_when=asyncio.FIRST_COMPLETED)
            yield events
        finally:
            reading.cancel()
            await asyncio.wait({reading})

    async def heard(self, until: Callable[[list[Event]], bool], *channels: str, **more: Any) -> list[Event]:
        """Read a stream until something holds of it."""
        async with self.listening(*channels, **more) as events:
            await eventually(lambda: until(events), f"what was waited for; heard {events}")
            return list(events)


def _event(frame: dict[str, str]) -> Event:
    event: Event = json.loads(frame["data"])
    assert frame["event"] == event["method"]
    assert frame["id"] == str(event["seq"])
    return event


def rested(times: int = 1) -> Callable[[list[Event]], bool]:
    """Whether the root has come to rest so often."""
    return lambda events: len([p for p in phases(events) if p in {"completed", "failed", "interrupted"}]) >= times


def phases(events: list[Event]) -> list[str]:
    """What the root said of its own life."""
    roots = [e for e in events if e["method"] == "lifecycle" and not e["params"]["namespace"]]
    return [e["params"]["data"]["event"] for e in roots]


def asked(events: list[Event]) -> list[str]:
    return [e["params"]["data"]["interrupt_id"] for e in events if e["method"] == "input.requested"]


def values(events: list[Event]) -> list[Any]:
    return [e["params"]["data"] for e in events if e["method"] == "values" and not e["params"]["namespace"]]
