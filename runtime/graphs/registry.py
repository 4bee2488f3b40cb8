"""Which graphs there are, and how each is opened for one use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Required, TypedDict, Unpack
from uuid import UUID, uuid5

from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.pregel import Pregel
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.types import Checkpointer
from langgraph_sdk.runtime import AccessContext

from ...core.errors import ConfigError, Forbidden, InvalidInput
from ...core.types import Principal
from .factories import Factory
from .kinds import Kinds, giving_back, kinds_of
from .user import user_of

Graph = Pregel[Any, Any, Any, Any]

_UNNAMED: Final = "LangGraph"
_NAMESPACE: Final = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")


def system_assistant_id(graph_id: str) -> str:
    """The id of the assistant that every graph has: the same on every server of this wire."""
    return str(uuid5(_NAMESPACE, graph_id))


class Asked(TypedDict, total=False):
    """What a graph is opened with.

    Attributes:
        access: Why; factories may build something cheaper where nothing will run.
        config: The run's config; factories get a copy of it.
        principal: For whom.
        checkpointer: The server's own, in place of whatever the graph was compiled with.
        store: The server's own.
        context: The run's context, as the client sent it.
    """

    access: Required[AccessContext]
    config: Required[RunnableConfig]
    principal: Required[Principal]
    checkpointer: Required[Checkpointer]
    store: Required[BaseStore | None]
    context: Any


class GraphRegistry:
    """The graphs of one server, by id.

    Args:
        graphs: Each a compiled graph, an `@entrypoint`, a `StateGraph` (compiled here), or a factory: a function, sync
            or async, or a context manager of either kind, that takes nothing, a `RunnableConfig`, a `ServerRuntime`, or
            both.
        descriptions: A sentence for people and models, by graph id.
        writable: The state keys that clients may write; all others are the graphs' own. None: every key.
        kinds: Types, by module and name, that come back from checkpoints beside those of each graph's declared state.

    Raises:
        ConfigError: One of them is none of these.
    """

    def __init__(
        self,
        graphs: Mapping[str, Any],
        *,
        descriptions: Mapping[str, str] | None = None,
        writable: Collection[str] | None = None,
        kinds: Collection[tuple[str, ...]] = (),
    ) -> None:
        self._graphs: dict[str, Graph | Factory] = {name: _source(name, graph) for name, graph in graphs.items()}
        self._descriptions = dict(descriptions or {})
        self._writable = frozenset(writable) if writable is not None else None
        self._kinds = frozenset(kinds)
        self._kinds_of_static: dict[str, Kinds] = {}
        self._spare_store = InMemoryStore()  # where the server has none, a factory still gets one
        self._system = {system_assistant_id(name): name for name in self._graphs}

    @property
    def ids(self) -> Sequence[str]:
        """The graphs' ids, in the order they were given."""
        return tuple(self._graphs)

    def __contains__(self, graph_id: object) -> bool:
        """Whether there is such a graph."""
        return graph_id in self._graphs

    def description(self, graph_id: str) -> str | None:
        """What was said of a graph; None if nothing."""
        return self._descriptions.get(graph_id)

    @property
    def guarded(self) -> bool:
        """Whether part of the graphs' state is their own: then an answer to them decides what may run."""
        return self._writable is not None

    def check_written(self, values: Any) -> None:
        """Refuse what a client may not write into a graph's state, as input or by hand.

        Raises:
            Forbidden: There is a key that is the graphs' own.
        """
        if self._writable is None or values is None:
            return
        keys = _keys(values)
        if keys is None or not self._writable.issuperset(keys):
            raise Forbidden(f"Clients may write only {', '.join(self._writable)} into the state of these graphs")

    def check_steered(self, command: Mapping[str, Any] | None, *, namespace: str = "") -> None:
        """As `check_written` for a command, which may not jump, and for a write that is not meant for the root.

        Raises:
            Forbidden: It does what only the graphs themselves may.
        """
        if self._writable is None:
            return
        if namespace or (command or {}).get("goto"):
            raise Forbidden("Clients may not jump in these graphs, nor write into their agents' own state")
        self.check_written((command or {}).get("update"))

    def of_system_assistant(self, assistant_id: str) -> str | None:
        """Which graph's own assistant has this id; None if none has."""
        return self._system.get(assistant_id)

    def static(self, graph_id: str) -> Graph | None:
        """The compiled graph itself, as it was given; None when a factory makes it."""
        source = self._found(graph_id)
        return None if isinstance(source, Factory) else source

    @asynccontextmanager
    async def open(self, graph_id: str, **asked: Unpack[Asked]) -> AsyncIterator[Graph]:
        """Open a graph for one use: a copy with the server's checkpointer and store.

        Args:
            graph_id: One of `ids`; `InvalidInput` on another.
            **asked: See `Asked`.
        """
        source = self._found(graph_id)
        saver = asked["checkpointer"]
        if not isinstance(source, Factory):
            saver = giving_back(saver, self._given_back(graph_id, source))
            yield source.copy({"checkpointer": saver, "store": asked["store"]})
            return
        store = asked["store"] or self._spare_store
        user = user_of(asked["principal"], asked["config"])
        runtime = source.runtime(asked["access"], user=user, store=store, context=asked.get("context"))
        async with source.made(asked["config"], runtime) as made:
            graph = _compiled(graph_id, made)
            kinds = self._kinds | kinds_of(graph)
            yield graph.copy({"checkpointer": giving_back(saver, kinds), "store": asked["store"]})

    def _given_back(self, graph_id: str, graph: Graph) -> Kinds:
        if graph_id not in self._kinds_of_static:
            self._kinds_of_static[graph_id] = self._kinds | kinds_of(graph)
        return self._kinds_of_static[graph_id]

    def _found(self, graph_id: str) -> Graph | Factory:
        source = self._graphs.get(graph_id)
        if source is None:
            raise InvalidInput(f"Invalid assistant: '{graph_id}'. Must be either: {unknown_graph(self.ids)}")
        return source


def _keys(values: Any) -> list[Any] | None:
    """Which keys an update writes, as a mapping or as pairs; None where it has neither form."""
    if isinstance(values, Mapping):
        return list(values)
    if isinstance(values, list | tuple) and all(isinstance(pair, list | tuple) and pair for pair in values):
        return [pair[0] if isinstance(pair[0], str) else None for pair in values]
    return None


def unknown_graph(ids: Sequence[str]) -> str:
    """Say what an assistant may be called."""
    return f"a valid assistant UUID, or one of the registered graphs: {', '.join(ids)}"


def _source(graph_id: str, graph: Any) -> Graph | Factory:
    if isinstance(graph, Pregel | StateGraph):
        return _compiled(graph_id, graph)
    if callable(graph):
        return Factory(graph_id, graph)
    raise ConfigError(
        f"The graph {graph_id!r} is a {type(graph).__name__}: name a compiled graph, a StateGraph or a function."
    )


def _compiled(graph_id: str, made: Any) -> Graph:
    if isinstance(made, StateGraph):
        made = made.compile(name=graph_id)
    if isinstance(made, Pregel):
        return made.copy({"name": graph_id}) if made.name == _UNNAMED else made
    raise ConfigError(f"The factory of the graph {graph_id!r} made a {type(made).__name__}: return a graph.")
