"""What a state keeps of several writes."""

from typing import Annotated, Any

import pytest
from langgraph.errors import EmptyChannelError
from langgraph.graph import END, START, StateGraph
from typing_extensions import TypedDict

from codelab.agents.state import Newest


class State(TypedDict, total=False):
    todos: Annotated[list[str], Newest]


def test_the_last_of_two_writes_of_one_step_stands() -> None:
    builder = StateGraph(State)
    for name in ("a", "b"):
        builder.add_node(name, lambda _state, name=name: {"todos": [name]})
        builder.add_edge(START, name)
        builder.add_edge(name, END)
    assert builder.compile().invoke({"todos": ["before"]}) == {"todos": ["b"]}
    assert builder.compile().invoke({}) == {"todos": ["b"]}


def test_it_is_empty_until_somebody_writes_and_then_stays() -> None:
    channel: Any = Newest(list)
    assert not channel.update([])
    with pytest.raises(EmptyChannelError):
        channel.get()
    assert channel.update([["x"]])
    assert not channel.update([])
    assert channel.from_checkpoint(channel.checkpoint()).get() == ["x"]
