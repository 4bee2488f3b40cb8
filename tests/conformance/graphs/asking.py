"""Graphs that ask a person: once, twice at the same time, and from inside another graph."""

import operator
from typing import Annotated, Any, TypedDict

from langgraph.graph import START, StateGraph
from langgraph.types import interrupt


class State(TypedDict, total=False):
    """What was asked and answered."""

    text: str
    items: Annotated[list[str], operator.add]


async def _before(state: State) -> dict[str, Any]:
    return {"items": [f"before {state.get('text', '')}"]}


async def _question(_state: State) -> dict[str, Any]:
    answer = interrupt({"question": "Shall we?"})
    return {"items": [f"answered {answer}"]}


async def _other(_state: State) -> dict[str, Any]:
    return {"items": [f"other {interrupt('And this?')}"]}


async def _after(_state: State) -> dict[str, Any]:
    return {"items": ["after"]}


def _asking() -> StateGraph[Any, Any, Any, Any]:
    builder = StateGraph(State)
    builder.add_node("before", _before)
    builder.add_node("question", _question)
    builder.add_node("after", _after)
    builder.add_edge(START, "before")
    builder.add_edge("before", "question")
    builder.add_edge("question", "after")
    return builder


ask = _asking().compile()

_twice = StateGraph(State)
_twice.add_node("left", _question)
_twice.add_node("right", _other)
_twice.add_edge(START, "left")
_twice.add_edge(START, "right")
twice = _twice.compile()

_nested = StateGraph(State)
_nested.add_node("inner", _asking().compile())
_nested.add_node("outer", _after)
_nested.add_edge(START, "inner")
_nested.add_edge("inner", "outer")
nested = _nested.compile()
