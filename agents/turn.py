"""Ends an agent's part of the turn: on a hand-off, on `finish`, and when the turn has used up its model calls."""

from __future__ import annotations

from typing import Any

from langchain.agents.middleware import AgentMiddleware, hook_config
from langchain_core.messages import AIMessage, ToolMessage

from .loops import this_turn
from .state import TurnState

LIMIT_TEXT = "I stopped: this turn has used its {limit} {what}. Nothing is lost; say “continue” and I go on from here."


class TurnMiddleware(AgentMiddleware[TurnState, Any, Any]):
    """The one step before each model call: see the module.

    The stock limits count per subgraph visit; a turn spans several agents, so its count lives in shared state.
    """

    state_schema = TurnState

    def __init__(self, *, max_model_calls: int, max_tool_calls: int) -> None:
        super().__init__()
        self._max_model_calls = max_model_calls
        self._max_tool_calls = max_tool_calls

    @hook_config(can_jump_to=["end"])
    async def abefore_model(self, state: TurnState, runtime: Any) -> dict[str, Any] | None:
        """Jump to the end when there is nothing more to do."""
        if state.get("handoff") or state.get("finished"):
            return {"jump_to": "end"}
        if stop := self._exhausted(state, runtime.context):
            return {"jump_to": "end", "messages": [AIMessage(stop)]}
        return None

    def _exhausted(self, state: TurnState, settings: Any) -> str | None:
        calls = _cap(getattr(settings, "max_model_calls", None), self._max_model_calls)
        if state.get("model_calls", 0) >= calls:
            return LIMIT_TEXT.format(limit=calls, what="model calls")
        tools = _cap(getattr(settings, "max_tool_calls", None), self._max_tool_calls)
        if sum(isinstance(m, ToolMessage) for m in this_turn(state["messages"])) >= tools:
            return LIMIT_TEXT.format(limit=tools, what="tool calls")
        return None


def _cap(asked: int | None, limit: int) -> int:
    return min(asked, limit) if asked else limit
