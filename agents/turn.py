"""Ends an agent's part of the turn: on a hand-off, on `finish`, and when the turn has used up its model calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
from langchain.agents.middleware.types import ExtendedModelResponse
from langchain_core.messages import AIMessage, ToolMessage

from .loops import this_turn
from .state import TurnState

ModelAnswer = ModelResponse[Any] | ExtendedModelResponse[Any]
Handler = Callable[[ModelRequest[Any]], Awaitable[ModelAnswer]]

LIMIT_TEXT = "I stopped: this turn has used its {limit} {what}. Nothing is lost; say “continue” and I go on from here."


def is_over(state: TurnState) -> bool:
    """Whether the agent has handed over or finished."""
    return bool(state.get("handoff") or state.get("finished"))


class TurnMiddleware(AgentMiddleware[TurnState, Any, Any]):
    """Lets a model call through, or ends the agent's part: see the module.

    The stock limits count per subgraph visit; a turn spans several agents, so its count lives in shared state.
    """

    state_schema = TurnState

    def __init__(self, *, max_model_calls: int, max_tool_calls: int) -> None:
        super().__init__()
        self._max_model_calls = max_model_calls
        self._max_tool_calls = max_tool_calls

    async def awrap_model_call(self, request: ModelRequest[Any], handler: Handler) -> ModelAnswer:
        """Call the model unless there is nothing more to do."""
        state: Any = request.state
        if is_over(state):
            return ModelResponse(result=[])
        if stop := self._exhausted(state, request.runtime.context):
            return ModelResponse(result=[AIMessage(stop)])
        return await handler(request)

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
