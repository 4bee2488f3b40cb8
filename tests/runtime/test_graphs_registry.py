"""Graphs are opened for one use: with the server's saver and store, whatever shape they were given in."""

import contextlib
import time
from dataclasses import dataclass

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.func import entrypoint
from langgraph.graph import END, START, StateGraph
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph_sdk.runtime import ServerRuntime, _ExecutionRuntime, _ReadRuntime
from typing_extensions import TypedDict

from codelab.core.errors import ConfigError, InvalidInput
from codelab.core.types import Principal
from codelab.runtime.graphs.registry import GraphRegistry, system_assistant_id

ANN = Principal(user_id="ann", scopes=frozenset({"runs:write"}))


class State(TypedDict, total=False):
    text: str


def build(word="static"):
    graph = StateGraph(State)
    graph.add_node("say", lambda _state: {"text": word})
    graph.add_edge(START, "say")
    graph.add_edge("say", END)
    return graph


def opening(registry, graph_id="g", **changed):
    asked = {
        "access": "threads.create_run",
        "config": {"configurable": {"thread_id": "t"}},
        "principal": ANN,
        "checkpointer": InMemorySaver(),
        "store": InMemoryStore(),
    }
    return registry.open(graph_id, **asked | changed)


async def run(source, **changed):
    config = {"configurable": {"thread_id": "t"}}
    async with opening(GraphRegistry({"g": source}), **{"config": config} | changed) as graph:
        return (await graph.ainvoke({"text": "x"}, config))["text"]


@entrypoint()
def functional(given: dict) -> dict:
    return {"text": given["text"] + " from an entrypoint"}


def none():
    return build("none").compile()


def of_config(config: RunnableConfig):
    return build(config["configurable"]["thread_id"]).compile()


def of_plain(settings):
    return build(settings["configurable"]["thread_id"]).compile()


def of_runtime(runtime: ServerRuntime):
    return build(runtime.access_context)


async def of_both(config: RunnableConfig, runtime: ServerRuntime):
    return build(f"{config['configurable']['thread_id']} {runtime.user.identity}").compile()


async def swapped(rt: "ServerRuntime", /, *, cfg: "RunnableConfig", debug: bool = False):
    return build(f"{rt.access_context} {cfg['configurable']['thread_id']} {debug}").compile()


@contextlib.contextmanager
def managed(config):
    yield build(f"managed {config['configurable']['thread_id']}").compile()


@contextlib.asynccontextmanager
async def managed_async(runtime):
    yield build(f"managed {runtime.user.identity}").compile()


def bare_generator():
    yield build("generated").compile()


async def bare_async_generator():
    yield build("generated").compile()


class Maker:
    async def __call__(self, config: RunnableConfig):
        return build(f"made for {config['configurable']['thread_id']}")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (build().compile(), "static"),
        (build(), "static"),
        (functional, "x from an entrypoint"),
        (none, "none"),
        (lambda: functional, "x from an entrypoint"),
        (of_config, "t"),
        (of_plain, "t"),
        (of_runtime, "threads.create_run"),
        (of_both, "t ann"),
        (swapped, "threads.create_run t False"),
        (managed, "managed t"),
        (managed_async, "managed ann"),
        (bare_generator, "generated"),
        (bare_async_generator, "generated"),
        (Maker(), "made for t"),
    ],
)
async def test_every_shape_of_a_graph_runs(source, said):
    assert await run(source) == said


async def test_the_servers_saver_and_store_replace_the_graphs_own():
    own = build().compile(checkpointer=InMemorySaver(), store=InMemoryStore())
    for source in (own, lambda: own):
        saver, store = InMemorySaver(), InMemoryStore()
        async with opening(GraphRegistry({"g": source}), checkpointer=saver, store=store) as graph:
            assert graph.checkpointer is saver
            assert graph.store is store
    assert own.checkpointer is not saver


async def test_what_a_factory_opened_is_closed_after_use_even_when_the_use_fails():
    steps = []

    @contextlib.asynccontextmanager
    async def factory():
        steps.append("open")
        try:
            yield build().compile()
        finally:
            steps.append("closed")

    async def use():
        async with opening(GraphRegistry({"g": factory})):
            steps.append("used")
            raise LookupError

    with pytest.raises(LookupError):
        await use()
    assert steps == ["open", "used", "closed"]


async def test_a_run_and_a_reading_get_different_runtimes():
    seen = []

    def factory(runtime: ServerRuntime):
        seen.append(runtime)
        return build()

    registry = GraphRegistry({"g": factory})
    for access in ("threads.create_run", "threads.read", "threads.update", "assistants.read"):
        async with opening(registry, access=access, store=None, context={"a": 1}):
            pass
    assert [type(one) for one in seen] == [_ExecutionRuntime, _ReadRuntime, _ReadRuntime, _ReadRuntime]
    assert [one.access_context for one in seen] == [
        "threads.create_run",
        "threads.read",
        "threads.update",
        "assistants.read",
    ]
    assert all(isinstance(one.store, BaseStore) for one in seen)
    assert seen[0].execution_runtime.context == {"a": 1}


@dataclass
class Context:
    model: str = "small"


async def test_the_context_has_the_type_that_the_factory_names():
    def factory(runtime: ServerRuntime[Context]):
        return build(runtime.execution_runtime.context.model)

    assert await run(factory, context={"model": "big"}) == "big"


async def test_nothing_of_the_factory_travels_into_the_run():
    """A runtime in the config would reach the nodes in place of LangGraph's own."""

    def factory(config: RunnableConfig, runtime: ServerRuntime):
        config["configurable"]["__pregel_runtime"] = runtime
        config["metadata"]["mark"] = 1
        return build()

    config = {"configurable": {"thread_id": "t"}}
    await run(factory, config=config)
    assert config == {"configurable": {"thread_id": "t"}}


async def test_the_user_is_whom_the_servers_own_auth_let_in():
    def factory(runtime: ServerRuntime):
        user = runtime.ensure_user()
        return build(f"{user.identity} {user['org']} {user.org} {user.display_name} {user.is_authenticated}")

    known = {"identity": "bob", "org": "acme"}
    assert await run(factory, config={"configurable": {"thread_id": "t", "langgraph_auth_user": known}}) == (
        "bob acme acme bob True"
    )


@pytest.mark.parametrize("source", [7, {"a": 1}, lambda one, two: (one, two), lambda x=1, *, token: (x, token)])
def test_what_is_no_graph_is_refused_at_the_start(source):
    with pytest.raises(ConfigError, match="'g'"):
        GraphRegistry({"g": source})


async def test_a_factory_that_makes_no_graph_is_told_so():
    with pytest.raises(ConfigError, match="'g' made a int"):
        async with opening(GraphRegistry({"g": lambda: 7})):
            pass


async def test_an_unknown_graph_is_answered_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"'other'.*one of the registered graphs: a, b"):
        async with opening(GraphRegistry({"a": build(), "b": build()}), "other"):
            pass


def test_ids_and_descriptions_belong_to_one_registry():
    one = GraphRegistry({"a": build(), "b": build()}, descriptions={"b": "the second"})
    two = GraphRegistry({"c": build()})
    assert (one.ids, two.ids) == (("a", "b"), ("c",))
    assert (one.description("a"), one.description("b")) == (None, "the second")
    assert one.of_system_assistant(system_assistant_id("b")) == "b"
    assert two.of_system_assistant(system_assistant_id("b")) is None


def test_the_id_of_a_graphs_own_assistant_is_that_of_the_reference_server():
    assert system_assistant_id("broken") == "0e2c357f-f554-5a10-8b5a-ffb04b690d9d"


async def test_a_compiled_graph_opens_in_microseconds():
    registry, saver = GraphRegistry({"g": build()}), InMemorySaver()
    best = 1.0
    for _ in range(200):
        start = time.process_time()
        async with opening(registry, checkpointer=saver, store=None):
            best = min(best, time.process_time() - start)
    assert best < 0.002
