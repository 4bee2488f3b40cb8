"""A graph whose every node leaves a trace outside: when it began, for which run, in which process."""

import asyncio
import json
import operator
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, TypedDict

from langchain_core.runnables import RunnableConfig
from langgraph.config import get_stream_writer
from langgraph.graph import START, StateGraph

NODES = ("first", "second", "third")


class State(TypedDict, total=False):
    """`done` is what the checkpoints say was done; `each` is how long a node takes, in seconds."""

    each: float
    done: Annotated[list[str], operator.add]


def _trace(run: str, node: str) -> None:
    """Append one line in one system call: processes share the file."""
    line = json.dumps({"run": run, "node": node, "pid": os.getpid(), "at": time.time()}) + "\n"
    descriptor = os.open(Path(os.environ["CHAOS_TRACES"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _node(name: str) -> Callable[[State, RunnableConfig], Awaitable[dict[str, Any]]]:
    async def node(state: State, config: RunnableConfig) -> dict[str, Any]:
        run = str(config["configurable"]["run_id"])
        _trace(run, name)
        get_stream_writer()({"run": run, "node": name})
        await asyncio.sleep(state.get("each", 0.05))
        return {"done": [f"{run} {name}"]}

    return node


_builder = StateGraph(State)
for _name in NODES:
    _builder.add_node(_name, _node(_name))
for _edge in zip((START, *NODES), NODES, strict=False):
    _builder.add_edge(*_edge)
work = _builder.compile()
