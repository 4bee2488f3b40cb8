"""Graphs whose threads the tests look at: one asks inside a sub-graph, one fails, one waits, one talks."""

from __future__ import annotations

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import httpx
from langchain_core.messages import AIMessage
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    """`log` grows, `n` is replaced."""

    log: Annotated[list[str], operator.add]
    n: int
    obj: dict[str, Any]


def _first(_state: State) -> dict[str, Any]:
    return {"log": ["first"], "n": 1}


def _ask(_state: State) -> dict[str, Any]:
    return {"log": [f"answer {interrupt({'q': 'ok?'})}"]}


def _last(_state: State) -> dict[str, Any]:
    return {"log": ["last"]}


def _fail(_state: State) -> dict[str, Any]:
    raise ValueError("boom")


def _talk(_state: MessagesState) -> dict[str, Any]:
    return {"messages": [AIMessage("hello", id="ai-1")]}


def graphs(gate: asyncio.Event) -> dict[str, Any]:
    """By id; `wait` stands at the gate."""

    async def wait(_state: State) -> dict[str, Any]:
        await gate.wait()
        return {"log": ["waited"]}

    inner = StateGraph(State).add_node("ask", _ask).add_edge(START, "ask").compile()
    asking = StateGraph(State).add_node("first", _first).add_node("sub", inner).add_node("last", _last)
    asking = asking.add_edge(START, "first").add_edge("first", "sub").add_edge("sub", "last")
    return {
        "ask": asking.compile(),
        "fail": StateGraph(State).add_node("fail", _fail).add_edge(START, "fail").compile(),
        "wait": StateGraph(State).add_node("wait", wait).add_edge(START, "wait").compile(),
        "talk": StateGraph(MessagesState).add_node("talk", _talk).add_edge(START, "talk").compile(),
    }


async def made(api: httpx.AsyncClient, graph: str | None = None, *, sent: Any = None, **more: Any) -> str:
    """A new thread, after a run of the graph if one is named; its address."""
    answer = await api.post("/threads", json=more)
    assert answer.status_code == 200, answer.text
    thread = f"/threads/{answer.json()['thread_id']}"
    if graph is not None:
        run = {"assistant_id": graph, "input": sent or {"log": ["in"]}}
        assert (await api.post(f"{thread}/runs/wait", json=run)).status_code == 200
    return thread


async def got(api: httpx.AsyncClient, path: str, **query: Any) -> Any:
    """The JSON at a path."""
    answer = await api.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def sent(api: httpx.AsyncClient, path: str, body: Any = None, *, status: int = 200) -> Any:
    """The JSON that a POST answers."""
    answer = await api.post(path, json=body if body is not None else {})
    assert answer.status_code == status, answer.text
    return answer.json()
