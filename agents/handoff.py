"""`switch_agent`: a hand-off is a wish in state; the root's edge carries it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain.tools import ToolRuntime
from langchain_core.messages import AnyMessage, BaseMessage, ToolMessage
from langchain_core.tools import BaseTool, StructuredTool
from langgraph.types import Command
from pydantic import BaseModel, Field

from ..core.errors import InvalidInput
from ..tools.context import RunContext
from .state import Handoff

FLOW_TOOLS = frozenset({"switch_agent", "update_todo_list", "prompt_user", "finish"})


def has_evidence(messages: Sequence[BaseMessage | AnyMessage]) -> bool:
    """Whether anything but flow came back well since the last hand-off of this conversation."""
    for message in reversed(messages):
        if isinstance(message, ToolMessage):
            if message.name == "switch_agent" and message.status != "error":
                return False
            if message.name not in FLOW_TOOLS and message.status != "error":
                return True
    return False


def refuse_switch(to: str, *, current: str, roster: Mapping[str, str], hops: int, max_hops: int) -> str | None:
    """Say why a hand-off cannot be; None if it can."""
    if to == current:
        return f"you are {current} already: go on"
    if to not in roster:
        return f"there is no agent {to!r}; there are {', '.join(sorted(roster))}"
    if hops >= max_hops:
        return f"this turn has used its {max_hops} hand-offs: finish with what you have"
    return None


def make_switch_tool(*, current: str, roster: Mapping[str, str], max_hops: int) -> BaseTool:
    """Build the tool for one agent.

    Args:
        current: The agent that holds it.
        roster: Names of the agents it may hand to, with their descriptions.
        max_hops: Hand-offs allowed in one turn.
    """
    others = {name: text for name, text in roster.items() if name != current}

    class SwitchArgs(BaseModel):
        agent: str = Field(description=f"One of: {', '.join(sorted(others))}")
        reason: str = Field(description="Why, and everything the other agent needs to know")

    async def switch_agent(agent: str, reason: str, runtime: ToolRuntime[RunContext, Any]) -> Command[Any]:
        state = runtime.state
        hops = state.get("hops", 0)
        why = refuse_switch(agent, current=current, roster=roster, hops=hops, max_hops=max_hops)
        if why is None and hops and not has_evidence(state["messages"]):
            why = "nothing new was found since the last hand-off: do a step yourself first"
        if why is not None:
            raise InvalidInput(f"No hand-off: {why}.", code="handoff_refused")
        note = ToolMessage(f"Handed to {agent}: {reason}", name="switch_agent", tool_call_id=runtime.tool_call_id or "")
        return Command(update={"handoff": Handoff(to=agent, reason=reason), "messages": [note]})

    roll = "; ".join(f"{name}: {text}" for name, text in sorted(others.items()))
    return StructuredTool.from_function(
        coroutine=switch_agent,
        name="switch_agent",
        description=f"Hand this turn to another agent when the work needs what it may do. {roll}",
        args_schema=SwitchArgs,
    )
