"""Graphs without messages: one node, what a node sees, a failure, and one that takes its time."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import END, START, StateGraph
from langgraph.runtime import Runtime


class State(TypedDict, total=False):
    """`items` grows with every run."""

    text: str
    items: Annotated[list[str], operator.add]


class Wanted(TypedDict, total=False):
    """A run's context."""

    tone: str


class Pace(TypedDict, total=False):
    """How many steps of `each` seconds."""

    steps: int
    each: float
    name: str
    items: Annotated[list[str], operator.add]


class Sight(TypedDict, total=False):
    """What a node saw."""

    text: str
    saw_config: dict[str, Any]
    saw_metadata: dict[str, Any]
    saw_context: Any


_OWN = ("thread_id", "run_id", "graph_id", "assistant_id", "user_id", "colour")


async def _echo(state: State) -> dict[str, Any]:
    return {"items": [f"echo {state.get('text', '')}"]}


async def _seen(_state: Sight, config: RunnableConfig, runtime: Runtime[Wanted]) -> dict[str, Any]:
    found = config.get("configurable", {})
    shown = {name: found[name] for name in _OWN if name in found}
    kept = {k: v for k, v in config.get("metadata", {}).items() if k in {*_OWN, "created_by", "mine"}}
    return {"saw_config": shown, "saw_metadata": kept, "saw_context": runtime.context}


async def _fail(state: State) -> dict[str, Any]:
    raise ValueError(f"no such luck: {state.get('text')}")


async def _step(state: Pace) -> dict[str, Any]:
    get_stream_writer()({"step": len(state.get("items", []))})
    await asyncio.sleep(state.get("each", 0.2))
    return {"items": [state.get("name", "step")], "steps": state.get("steps", 1) - 1}


def _graph(schema: Any, node: Any, name: str, **options: Any) -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(schema, **options)
    builder.add_node(name, node)
    builder.add_edge(START, name)
    return builder


echo = _graph(State, _echo, "say").compile()
seen = _graph(Sight, _seen, "look", context_schema=Wanted).compile()
fails = _graph(State, _fail, "fall").compile()
_slow = _graph(Pace, _step, "step")
_slow.add_conditional_edges("step", lambda state: "step" if state.get("steps", 0) > 0 else END)
slow = _slow.compile()
