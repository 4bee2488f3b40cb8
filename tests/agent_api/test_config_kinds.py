"""Values of a project's own types come out of its checkpoints as they went in; nobody else's types do."""

import pytest

from tests.support.configs import config_served, project

KINDS = """
import operator
from collections import namedtuple
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, TypedDict
from pydantic import BaseModel
from langgraph.graph import START, StateGraph
from langgraph.types import interrupt
import elsewhere

class Colour(Enum):
    RED = "red"

class Item(BaseModel):
    n: int
    colour: Colour = Colour.RED

@dataclass
class Note:
    items: list[Item] = field(default_factory=list)

Pair = namedtuple("Pair", "a b")

class Inner(TypedDict, total=False):
    note: Note
    log: list[str]

class State(TypedDict, total=False):
    notes: Annotated[list[Note], operator.add]
    item: Item
    anything: dict[str, Any]
    log: list[str]

def make(state):
    anything = {"note": Note(), "pair": Pair(1, 2), "stranger": elsewhere.stranger()}
    return {"notes": [Note([Item(n=1)])], "item": Item(n=2), "anything": anything}

def keep(state):
    return {"note": Note([Item(n=3)])}

def ask(state):
    interrupt("sure?")
    return {"log": [type(state["note"].items[0]).__name__]}

def look(state):
    seen = [state["notes"][0], state["notes"][0].items[0], state["item"].colour, *state["anything"].values()]
    return {"log": [*state["log"], *(type(each).__name__ for each in seen)]}

inner = StateGraph(Inner).add_node("keep", keep).add_node("ask", ask)
inner = inner.add_edge(START, "keep").add_edge("keep", "ask").compile()
graph = StateGraph(State).add_node("make", make).add_node("inner", inner).add_node("look", look)
graph = graph.add_edge(START, "make").add_edge("make", "inner").add_edge("inner", "look").compile()

def factory():
    return graph
"""
ELSEWHERE = """
import sys, types
from dataclasses import make_dataclass
foreign = types.ModuleType("somebody_elses")
sys.modules["somebody_elses"] = foreign
foreign.Odd = make_dataclass("Odd", ["x"])
foreign.Odd.__module__ = "somebody_elses"
def stranger():
    return foreign.Odd(1)
"""


@pytest.mark.parametrize("source", ["graph", "factory"])
@pytest.mark.parametrize("listed", [[], [["somebody_elses", "Odd"]]])
async def test_types_come_back(tmp_path, database_url, source, listed):
    path = project(
        tmp_path,
        {"app.py": KINDS, "elsewhere.py": ELSEWHERE},
        graphs={"echo": f"./app.py:{source}"},
        checkpointer={"serde": {"allowed_msgpack_modules": listed}},
    )
    async with config_served(path, database_url) as client:
        api = client()
        thread = (await api.post("/threads", json={})).json()["thread_id"]
        runs = f"/threads/{thread}/runs/wait"
        asked = (await api.post(runs, json={"assistant_id": "echo", "input": {"log": []}})).json()
        assert "__interrupt__" in asked, asked
        values = (await api.post(runs, json={"assistant_id": "echo", "command": {"resume": "yes"}})).json()
        stranger = "Odd" if listed else "dict"
        assert values.get("log") == ["Item", "Note", "Item", "Colour", "Note", "Pair", stranger], values
