"""What to send into the graph for one delivery of a run, the first or a later one (core patterns, "redelivery")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command

from ...graph.build import user_message
from ...store.eventlog import EventLog
from ...store.journal import finished_calls
from ...store.models import RunRow
from ...store.records import NewEvent
from ..threads.service import state_messages
from .claiming import started
from .fold import fold
from .redelivery import reconcile, turn_events, turn_messages
from .stream import Translator

NEW_MESSAGE: Final = "the person sent a new message instead of deciding"


@dataclass
class Delivery:
    """The graph's input, the translator of its stream, and what the log must hold before."""

    input: Any
    translator: Translator = field(default_factory=Translator)
    events: list[NewEvent] = field(default_factory=list)


@dataclass(frozen=True)
class Route:
    """Where a run is delivered: its graph with its own saver, its config, the log, and the turn's message."""

    graph: CompiledStateGraph[Any, Any, Any, Any]
    config: RunnableConfig
    log: EventLog
    message_id: str


async def prepare(row: RunRow, route: Route) -> Delivery:
    """Make the delivery of a run that was just claimed."""
    if row.attempt > 1:
        return await _again(row, route)
    if row.input is None:
        return Delivery(Command(resume=row.resume))
    events = await fold(route.graph, route.config, log=route.log, why=NEW_MESSAGE) if row.input["fold"] else []
    return Delivery(_input(row.input), events=events)


async def _again(row: RunRow, route: Route) -> Delivery:
    state = await route.graph.aget_state({"configurable": {"thread_id": row.thread_id}}, subgraphs=True)
    told = await route.log.read(row.thread_id, None)
    begun = any(event.type == "run.started" and event.run_id == row.id for event in told)
    done = reconcile(
        turn_messages(state_messages(state), route.message_id),
        turn_events(told, route.message_id),
        await finished_calls(route.log.database, row.thread_id),
    )
    delivery = Delivery(
        None, Translator(messages=done.messages, results=done.results), [started(row, again=begun), *done.events]
    )
    if row.input is None:
        # The same keyed answer: consumed already, it is ignored; lost in the gate, it is given again.
        delivery.input = Command(resume=row.resume)
    elif (state.metadata or {}).get("run_id") != row.id:
        # No checkpoint of this run. (`None` on a finished thread would "succeed" and lose the message.)
        delivery.events += await fold(route.graph, route.config, log=route.log, why=NEW_MESSAGE)
        delivery.input = _input(row.input)
    return delivery


def _input(stored: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [user_message(stored["text"], stored["message_id"])]}
