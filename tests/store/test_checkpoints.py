"""Savers: strict, fenced, pruned; and every type of our state comes back as it went in."""

import sqlite3
from contextlib import closing
from typing import Annotated, Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langgraph.graph import START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.types import Command, Interrupt, Overwrite, Send
from typing_extensions import TypedDict

from codelab.core.types import ApprovalMode, DecisionKind, PolicyDecision, ToolGroup
from codelab.store.checkpoints import Checkpoints, open_checkpoints
from codelab.store.engine import Database
from codelab.store.lease import LostLease
from codelab.store.serde import make_serde
from codelab.tools.policy import PolicyPin

CALL = {"name": "edit_file", "args": {"path": "a.py"}, "id": "c1", "type": "tool_call"}
ACTION = {"name": "edit_file", "args": {}, "tool_call_id": "c1", "preview": {"kind": "diff", "files": ["a.py"]}}
USAGE = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
VALUES: list[Any] = [
    HumanMessage("hi", id="m1"),
    AIMessage(
        "ok", id="m2", tool_calls=[CALL], usage_metadata={"input_tokens": 1, "output_tokens": 2, "total_tokens": 3}
    ),
    AIMessage([{"type": "text", "text": "block"}], id="m3"),
    AIMessageChunk("o", id="m2"),
    ToolMessage("done", tool_call_id="c1", id="m4", status="error", artifact={"kept": [1]}),
    SystemMessage("s", id="m5"),
    RemoveMessage(id="m1"),
    PolicyPin(version="1", mode="ask", turn_id="t", expires_s=60.0, allow=[{"tool": "x", "exact": "y"}]),
    {"to": "coder", "reason": "r"},
    [{"content": "todo", "status": "pending"}],
    Interrupt(value={"action_requests": [ACTION], "review_configs": []}, id="i1"),
    Command(resume={"i1": {"decisions": [{"type": "approve"}]}}),
    Command(update={"agent": "coder"}, goto="coder"),
    Send("tools", {"tool_call": CALL}),
    Overwrite([1]),
    *(member for enum in (ApprovalMode, DecisionKind, PolicyDecision, ToolGroup) for member in enum),
]


class Foreign:
    """A type that nobody listed."""

    def __init__(self, x: int) -> None:
        self.x = x


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_state_types_round_trip(value: Any) -> None:
    serde = make_serde()
    back = serde.loads_typed(serde.dumps_typed(value))
    assert type(back) is type(value)
    assert getattr(back, "resume", None) == getattr(value, "resume", None)
    assert isinstance(value, Command) or back == value


def test_no_pickle() -> None:
    with pytest.raises(TypeError):
        make_serde().dumps_typed(Foreign(1))


class State(TypedDict):
    messages: Annotated[list, add_messages]


def _graph(checkpointer: Any) -> Any:
    def work(_state: State) -> dict:
        return {"messages": [AIMessage("ok")]}

    inner = StateGraph(State).add_node("work", work).add_edge(START, "work").compile()
    return StateGraph(State).add_node("agent", inner).add_edge(START, "agent").compile(checkpointer=checkpointer)


async def _namespaces(checkpoints: Checkpoints, thread_id: str) -> set[str]:
    config = {"configurable": {"thread_id": thread_id}}
    return {c.config["configurable"]["checkpoint_ns"].split(":")[0] async for c in checkpoints.reader.alist(config)}


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def where(request: pytest.FixtureRequest) -> str:
    return "sqlite://" if request.param == "memory" else request.getfixturevalue(f"{request.param}_url")


async def test_prune_keeps_the_root_and_delete_keeps_nothing(where: str) -> None:
    database = Database(where)
    async with open_checkpoints(database) as checkpoints:
        graph = _graph(checkpoints.saver())
        for thread_id in ("t1", "t2"):
            await graph.ainvoke({"messages": [("user", "hi")]}, {"configurable": {"thread_id": thread_id}})
        assert await _namespaces(checkpoints, "t1") == {"", "agent"}
        await checkpoints.prune("t1")
        assert await _namespaces(checkpoints, "t1") == {""}
        state = await _graph(checkpoints.reader).aget_state({"configurable": {"thread_id": "t1"}})
        assert [m.content for m in state.values["messages"]] == ["hi", "ok"]
        await checkpoints.delete("t1")
        assert await _namespaces(checkpoints, "t1") == set()
        assert await _namespaces(checkpoints, "t2") == {"", "agent"}
    await database.close()


async def test_a_fenced_saver_writes_nothing_once_lost(where: str) -> None:
    def lost() -> None:
        raise LostLease("gone")

    database = Database(where)
    async with open_checkpoints(database) as checkpoints:
        with pytest.raises(LostLease):
            await _graph(checkpoints.saver(lost)).ainvoke({"messages": []}, {"configurable": {"thread_id": "t"}})
        assert await _namespaces(checkpoints, "t") == set()
    await database.close()


async def test_long_term_store(where: str) -> None:
    database = Database(where)
    async with open_checkpoints(database) as checkpoints:
        await checkpoints.setup()
        await checkpoints.store.aput(("me",), "k", {"v": 1})
        item = await checkpoints.store.aget(("me",), "k")
        assert item is not None
        assert item.value == {"v": 1}
    await database.close()


@pytest.mark.parametrize("noted", [2, 3])
async def test_a_set_up_that_a_kill_cut_off_is_finished_by_the_next_start(sqlite_url: str, noted: int) -> None:
    database = Database(sqlite_url)
    with closing(sqlite3.connect(str(database.file))) as raw:
        raw.execute("DELETE FROM store_migrations WHERE v >= ?", (noted,))
        raw.commit()
    async with open_checkpoints(database) as checkpoints:
        await checkpoints.setup()
        await checkpoints.store.aput(("a",), "k", {"v": 1}, ttl=5)
        found = await checkpoints.store.aget(("a",), "k")
    assert found is not None
    await database.close()
