"""An agent's middleware, put together into one.

LangChain makes a graph node, and so a checkpoint, of every `before_model` and `after_model`, and sends every wrapping
coroutine function through a thread twice (for tracing, on or off). One middleware of plain functions costs one node.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial, reduce
from typing import Any

from langchain.agents.middleware import AgentMiddleware, hook_config

from .gate import ApprovalMiddleware
from .state import GateState
from .turn import is_over

Call = Callable[..., Awaitable[Any]]


class AgentLayers(AgentMiddleware[GateState, Any, Any]):
    """What stands around an agent's model and tools, outer to inner, and the gate after the model.

    Args:
        gate: Asks a person, after the model has spoken.
        at_model: What shapes and judges a model call; the outermost first.
        at_tool: What stands between a call and its effect; the outermost first.
    """

    state_schema = GateState

    def __init__(self, gate: ApprovalMiddleware, *, at_model: Sequence[Call], at_tool: Sequence[Call]) -> None:
        super().__init__()
        self._gate = gate
        self._at_model = at_model
        self._at_tool = at_tool

    @property
    def name(self) -> str:
        """The gate's: threads wait at its node for a decision, by this name."""
        return self._gate.name

    def awrap_model_call(self, request: Any, handler: Call) -> Awaitable[Any]:  # type: ignore[override]  # see the module
        """Call the model inside of its layers."""
        return _inside(self._at_model, handler)(request)

    def awrap_tool_call(self, request: Any, handler: Call) -> Awaitable[Any]:  # type: ignore[override]  # see the module
        """Run the call inside of its layers."""
        return _inside(self._at_tool, handler)(request)

    @hook_config(can_jump_to=["end"])
    async def aafter_model(self, state: GateState, runtime: Any) -> dict[str, Any] | None:
        """Ask what needs a person; leave when the agent's part of the turn is over."""
        return {"jump_to": "end"} if is_over(state) else await self._gate.aafter_model(state, runtime)


def _inside(layers: Sequence[Call], innermost: Call) -> Call:
    return reduce(lambda handler, layer: partial(layer, handler=handler), reversed(layers), innermost)
