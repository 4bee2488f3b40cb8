"""Graphs are drawn and their schemas told, whatever their state is made of."""

from dataclasses import dataclass

import pytest
from langgraph.func import entrypoint
from langgraph.graph import END, START, MessagesState, StateGraph
from typing_extensions import TypedDict

from codelab.core.errors import BadRequest, InvalidInput
from codelab.core.types import Principal
from codelab.runtime.assistants.system import SystemAssistants
from codelab.runtime.graphs.drawing import read_xray
from codelab.runtime.graphs.registry import GraphRegistry
from codelab.runtime.graphs.views import GraphViews

ANN = Principal(user_id="ann")


class State(TypedDict, total=False):
    text: str


class In(TypedDict):
    text: str


class Conf(TypedDict, total=False):
    tone: str


@dataclass
class Context:
    model: str = "demo"


class Opaque:
    pass


class Unreadable(TypedDict):
    what: Opaque
    text: str


def chain(state, *names, **options):
    graph = StateGraph(state, **options)
    for name, node in names:
        graph.add_node(name, node)
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    return graph


def leaf():
    return chain(State, ("leaf", lambda _state: {})).compile()


def nested():
    inner = chain(State, ("inner", leaf())).compile()
    graph = StateGraph(State)
    graph.add_node("mid", inner)
    graph.add_node("other", lambda _state: {}, metadata={"k": "v"})
    graph.add_edge(START, "mid")
    graph.add_conditional_edges("mid", lambda _state: "go", {"go": "other", "stop": END})
    graph.add_edge("other", END)
    return graph.compile()


@entrypoint()
def functional(given: dict) -> dict:
    return given


class Looking:
    def __init__(self, graph):
        graphs = GraphRegistry({"g": graph})
        self.views = GraphViews(graphs)
        self.assistant = SystemAssistants(graphs).get("g")

    async def schemas(self):
        return await self.views.schemas(ANN, self.assistant)

    async def drawing(self, *, xray=False):
        return await self.views.drawing(ANN, self.assistant, xray=xray)

    async def subgraphs(self, **asked):
        return await self.views.subgraphs(ANN, self.assistant, **asked)


async def test_all_five_schemas():
    graph = chain(State, ("a", lambda _state: {}), input_schema=In, context_schema=Conf).compile()
    tone = {"properties": {"tone": {"title": "Tone", "type": "string"}}, "title": "Conf", "type": "object"}
    assert await Looking(graph).schemas() == {
        "graph_id": "g",
        "input_schema": {
            "properties": {"text": {"title": "Text", "type": "string"}},
            "required": ["text"],
            "title": "In",
            "type": "object",
        },
        "output_schema": {
            "properties": {"text": {"title": "Text", "type": "string"}},
            "title": "State",
            "type": "object",
        },
        "state_schema": {
            "properties": {"text": {"default": None, "title": "Text", "type": "string"}},
            "title": "g_state",
            "type": "object",
        },
        "config_schema": tone,
        "context_schema": tone,
    }


async def test_without_a_context_there_is_no_schema_of_it():
    found = await Looking(leaf()).schemas()
    assert (found["config_schema"], found["context_schema"]) == ({}, None)


async def test_a_dataclass_is_a_context():
    found = await Looking(chain(State, ("a", lambda _state: {}), context_schema=Context).compile()).schemas()
    assert found["context_schema"]["properties"]["model"]["default"] == "demo"


async def test_a_schema_that_cannot_be_made_is_null_and_the_others_are_there():
    found = await Looking(chain(Unreadable, ("a", lambda _state: {})).compile()).schemas()
    assert (found["input_schema"], found["output_schema"]) == (None, None)
    assert found["state_schema"]["properties"] == {
        "what": {"default": None, "title": "What"},
        "text": {"default": None, "title": "Text", "type": "string"},
    }


async def test_messages_are_known_as_messages():
    """The chat tab of Studio looks for them."""
    found = await Looking(chain(MessagesState, ("a", lambda _state: {})).compile()).schemas()
    assert "HumanMessage" in found["input_schema"]["$defs"]
    assert found["state_schema"]["properties"]["messages"]["type"] == "array"


async def test_an_entrypoint_has_schemas_and_a_drawing():
    looking = Looking(functional)
    assert (await looking.schemas())["input_schema"]["title"] == "g_input"
    assert {node["id"] for node in (await looking.drawing())["nodes"]} == {"functional", "__start__", "__end__"}


async def test_a_drawing_has_nodes_and_edges():
    assert await Looking(nested()).drawing() == {
        "nodes": [
            {"id": "__start__", "type": "runnable", "data": {"name": "__start__"}},
            {"id": "mid", "type": "runnable", "data": {"name": "mid"}},
            {"id": "other", "type": "runnable", "data": {"name": "other"}, "metadata": {"k": "v"}},
            {"id": "__end__"},
        ],
        "edges": [
            {"source": "__start__", "target": "mid"},
            {"source": "mid", "target": "__end__", "data": "stop", "conditional": True},
            {"source": "mid", "target": "other", "data": "go", "conditional": True},
            {"source": "other", "target": "__end__"},
        ],
    }


@pytest.mark.parametrize(("xray", "node"), [(1, "mid:inner"), (2, "mid:inner:leaf"), (True, "mid:inner:leaf")])
async def test_xray_opens_as_many_levels_as_asked(xray, node):
    assert node in {each["id"] for each in (await Looking(nested()).drawing(xray=xray))["nodes"]}


@pytest.mark.parametrize(("sent", "read"), [(None, False), ("false", False), ("True", True), ("1", 1), ("12", 12)])
def test_xray_is_a_word_or_a_number(sent, read):
    assert read_xray(sent) == read
    assert type(read_xray(sent)) is type(read)


@pytest.mark.parametrize("sent", ["0", "-1", "abc", "", "1.5", "99999"])
def test_another_xray_is_refused(sent):
    with pytest.raises(InvalidInput):
        read_xray(sent)


async def test_subgraphs_by_namespace():
    looking = Looking(nested())
    assert list(await looking.subgraphs()) == ["mid"]
    assert list(await looking.subgraphs(recurse=True)) == ["mid", "mid|inner"]
    assert list(await looking.subgraphs(namespace="mid")) == ["mid"]
    assert list(await looking.subgraphs(namespace="mid|inner")) == ["mid|inner"]
    assert await looking.subgraphs(namespace="nope") == {}


async def test_a_factory_that_fails_is_the_clients_to_hear():
    def broken():
        raise ValueError("no graph today")

    for look in (Looking(broken).schemas, Looking(broken).drawing, Looking(broken).subgraphs):
        with pytest.raises(BadRequest, match="no graph today"):
            await look()


async def test_the_schemas_of_a_factory_are_those_of_its_newest_graph():
    made = [leaf(), chain(MessagesState, ("a", lambda _state: {})).compile()]
    looking = Looking(lambda: made.pop(0))
    first, second = await looking.schemas(), await looking.schemas()
    assert first["input_schema"] != second["input_schema"]
