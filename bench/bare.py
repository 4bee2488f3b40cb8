"""Bare LangGraph, the same topology: a router node, `create_agent`, and the stock middleware for the same duties."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import (
    HumanInTheLoopMiddleware,
    ModelCallLimitMiddleware,
    SummarizationMiddleware,
    ToolCallLimitMiddleware,
)
from langchain_core.language_models import BaseChatModel
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool


def bare_graph(model: BaseChatModel, workspace: Path, saver: Any) -> Any:
    """Compile the peer."""

    @tool
    async def write_file(path: str, content: str) -> str:
        """Write a file."""
        (workspace / path).write_text(content, "utf-8")
        return "written"

    agent = create_agent(
        model,
        [write_file],
        system_prompt="You are Coder.",
        middleware=[
            HumanInTheLoopMiddleware(interrupt_on={"write_file": True}),
            ModelCallLimitMiddleware(run_limit=60),
            ToolCallLimitMiddleware(run_limit=120),
            SummarizationMiddleware(model, trigger=("tokens", 100_000)),
        ],
    )

    async def route(_state: MessagesState) -> Command[Any]:
        return Command(goto="coder")

    builder = StateGraph(MessagesState)
    builder.add_node("route", route, destinations=("coder",))
    builder.add_node("coder", agent)
    builder.add_edge(START, "route")
    builder.add_edge("coder", END)
    return builder.compile(checkpointer=saver)


async def bare_turn(graph: Any, thread_id: str, text: str) -> None:
    """One turn: message, one tool call, its approval, the rest; streamed as a service would stream it."""
    config = {"configurable": {"thread_id": thread_id}}
    asked: Any = {"messages": [("user", text)]}
    modes = ["messages", "updates", "custom", "values"]
    for _ in range(2):
        async for _part in graph.astream(
            asked, config, stream_mode=modes, subgraphs=True, durability="sync", version="v2"
        ):
            pass
        asked = Command(resume={"decisions": [{"type": "approve"}]})


@asynccontextmanager
async def bare_saver(kind: str, folder: Path, postgres_url: str | None) -> AsyncIterator[Any]:
    """The stock saver of a kind: memory, sqlite or postgres."""
    if kind == "memory":
        yield InMemorySaver()
    elif kind == "sqlite":
        async with AsyncSqliteSaver.from_conn_string(str(folder / "bare.db")) as saver:
            yield saver
    else:
        options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
        async with AsyncConnectionPool(postgres_url or "", min_size=2, max_size=10, open=False, kwargs=options) as pool:
            saver = AsyncPostgresSaver(pool)  # type: ignore[arg-type]
            await saver.setup()
            yield saver
