"""A turn that stopped half way lives in the agent's sub-graph only: fold its messages into the root, or lose them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from ...core.types import new_id
from ...store.eventlog import EventLog
from ...store.records import NewEvent
from .stream import result_event

NOT_RUN: Final = "This call was not run: {why}."


async def fold(
    graph: CompiledStateGraph[Any, Any, Any, Any], config: RunnableConfig, *, log: EventLog, why: str
) -> list[NewEvent]:
    """Fold the unfinished turn, if there is one; the events for what had to be answered in a tool's place.

    Args:
        graph: With the run's own saver.
        config: Names the thread.
        log: Knows results that the state has not taken in yet.
        why: Ends the sentence that the model reads for each call left unanswered.
    """
    thread_id = config["configurable"]["thread_id"]
    state = await graph.aget_state({"configurable": {"thread_id": thread_id}}, subgraphs=True)
    for task in state.tasks:
        if isinstance(task.state, StateSnapshot) and task.state.values.get("messages"):
            messages: list[BaseMessage] = list(task.state.values["messages"])
            open_calls = unanswered(messages)
            known = await _results(log, thread_id) if open_calls else {}
            answers = [_answer(name, call_id, known, why) for call_id, name in open_calls.items()]
            await graph.aupdate_state(state.config, {"messages": [*messages, *answers]}, as_node=task.name)
            return [result_event(answer) for answer in answers if answer.tool_call_id not in known]
    return []


def unanswered(messages: Sequence[BaseMessage]) -> dict[str, str]:
    """Name the calls without a result, by id."""
    answered = {message.tool_call_id for message in messages if isinstance(message, ToolMessage)}
    calls = (call for message in messages if isinstance(message, AIMessage) for call in message.tool_calls)
    return {call["id"]: call["name"] for call in calls if call["id"] and call["id"] not in answered}


def _answer(name: str, call_id: str, known: Mapping[str, dict[str, Any]], why: str) -> ToolMessage:
    if call_id not in known:
        return ToolMessage(NOT_RUN.format(why=why), tool_call_id=call_id, name=name, status="error", id=new_id())
    result = known[call_id]
    return ToolMessage(
        result["content"], tool_call_id=call_id, name=name, status=result["status"], id=result["message_id"]
    )


async def _results(log: EventLog, thread_id: str) -> dict[str, dict[str, Any]]:
    events = await log.read(thread_id, None)
    return {event.data["tool_call_id"]: event.data for event in events if event.type == "tool.result"}
