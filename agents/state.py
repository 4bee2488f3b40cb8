"""The state that a turn carries: shared by the root graph and every agent, so that keys pass both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, NotRequired

from langchain.agents.middleware import AgentState
from langchain.agents.middleware.types import OmitFromInput, PrivateStateAttr
from langgraph.channels import LastValue
from typing_extensions import TypedDict

from ..tools.policy import PolicyPin


class Newest(LastValue[Any]):
    """A channel that keeps the last value, also when two calls of one step write it."""

    __slots__ = ()

    def update(self, values: Sequence[Any]) -> bool:
        """Keep the last one."""
        return super().update(values[-1:])


class Handoff(TypedDict):
    """An agent's wish that another takes over."""

    to: str
    reason: str


class Summary(TypedDict):
    """What stands in the model's view for the messages up to and including `upto` (a message id)."""

    text: str
    upto: str


class Ask(TypedDict):
    """One call of the newest AI message that the policy does not simply allow."""

    call_id: str
    name: str
    args: dict[str, Any]
    decision: str
    rule: str
    reason: str
    risk: str
    preview: dict[str, Any]
    expires_at: str


class Approved(TypedDict):
    """The evidence that a person let a call run, and with which arguments."""

    name: str
    args: dict[str, Any]
    edited: bool
    message: NotRequired[str]


class TurnState(AgentState[Any]):
    """Keys of one turn. The root resets the counters when a new turn starts.

    Attributes:
        turn_id: The turn these counters and the pin belong to.
        policy: The turn's pinned policy; without one every call is denied.
        agent: Who holds the turn.
        hops: Hand-offs so far in this turn.
        handoff: Set by `switch_agent`, consumed by the root's edge.
        finished: Set by `finish`: the agent's own result.
        todos: The agents' shared list.
        model_calls: Model calls so far in this turn, over all agents.
        summary: See `Summary`.
    """

    turn_id: NotRequired[str]
    policy: NotRequired[PolicyPin | None]
    agent: NotRequired[str | None]
    hops: NotRequired[int]
    handoff: NotRequired[Annotated[Handoff | None, OmitFromInput, Newest]]
    finished: NotRequired[Annotated[str | None, OmitFromInput, Newest]]
    todos: NotRequired[Annotated[list[dict[str, Any]], Newest]]
    model_calls: NotRequired[Annotated[int, Newest]]
    summary: NotRequired[Summary | None]


class GateState(TurnState):
    """What the gate keeps inside the agent's subgraph."""

    asks: NotRequired[Annotated[list[Ask], PrivateStateAttr, Newest]]
    approved: NotRequired[Annotated[dict[str, Approved], PrivateStateAttr, Newest]]
