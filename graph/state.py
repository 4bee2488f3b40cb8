"""The root graph's state: the turn's shared keys, plus what only the router needs."""

from __future__ import annotations

from typing import Annotated, Any, NotRequired

from typing_extensions import TypedDict

from ..agents.state import Newest, TurnState


class Clarify(TypedDict):
    """A question the router wants answered before it chooses."""

    options: list[str]
    guess: str
    message_id: str


class RootState(TurnState):
    """State of the whole graph.

    Attributes:
        clarify: The open question, consumed by the `clarify` node.
    """

    clarify: NotRequired[Annotated[Clarify | None, Newest]]


RootUpdate = dict[str, Any]
