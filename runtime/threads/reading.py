"""Reading the state of threads, through the graph that wrote it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, Final

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import InvalidUpdateError
from langgraph_sdk.runtime import AccessContext

from ...core.errors import NotFound
from ...core.types import Principal
from ...store.checkpoints import Checkpoints
from ...store.models import ThreadRow
from ...store.texts import dump_json
from ..graphs.registry import Graph, GraphRegistry
from ..items.service import ItemService
from .shapes import CheckpointRef, HistoryQuery, StateQuery
from .showing import Json, graph_of, no_state, resting, shown_state, shown_values

_AT_ONCE: Final = 8
_UNREADABLE: Final = (ValueError, TypeError, KeyError, AttributeError, NotImplementedError, InvalidUpdateError)
"""What LangGraph raises when a checkpoint's namespace names no sub-graph of the graph, and what reducers raise of an
input that they did not take: it waits in the thread's checkpoint, and every look at the state meets it again."""
NEWEST: Final = StateQuery(checkpoint=CheckpointRef())


class StateReader:
    """Opens threads' graphs for reading. Whose thread it is was checked by whoever fetched the row.

    Args:
        graphs: All there are.
        checkpoints: Where the state is.
    """

    def __init__(self, graphs: GraphRegistry, checkpoints: Checkpoints) -> None:
        self.graphs = graphs
        self._checkpoints = checkpoints
        self._items = ItemService(checkpoints.store)

    @asynccontextmanager
    async def graph(
        self,
        principal: Principal,
        graph_id: str,
        *,
        access: AccessContext = "threads.read",
        saver: BaseCheckpointSaver[Any] | None = None,
    ) -> AsyncIterator[Graph]:
        """Open a graph; `NotFound` when this server has none of that name."""
        if graph_id not in self.graphs:
            raise NotFound(f"Graph '{graph_id}' not found. Expected one of: {sorted(self.graphs.ids)}")
        opened = self.graphs.open(
            graph_id,
            access=access,
            config={"configurable": {"graph_id": graph_id, "user_id": principal.user_id}},
            principal=principal,
            checkpointer=saver or self._checkpoints.reader,
            store=self._items.store_of(principal),
        )
        async with opened as graph:
            yield graph

    async def state(self, principal: Principal, row: ThreadRow, query: StateQuery = NEWEST) -> Json:
        """Show a checkpoint; an empty state when there is no such checkpoint."""
        graph_id = graph_of(row)
        if graph_id is None:
            return no_state()
        async with self.graph(principal, graph_id) as graph:
            config: Any = query.checkpoint.config(row.id)
            with suppress(*_UNREADABLE):
                state = await graph.aget_state(config, subgraphs=query.subgraphs)
                return shown_state(state, query.select)
        return no_state()

    async def history(self, principal: Principal, row: ThreadRow, query: HistoryQuery) -> list[Json]:
        """Show checkpoints, newest first."""
        graph_id = graph_of(row)
        if graph_id is None:
            return []
        before: Any = query.before.config(row.id) if query.before is not None else None
        config: Any = query.checkpoint.config(row.id)
        wanted = json.loads(dump_json(query.metadata)) or None  # as metadata is stored
        async with self.graph(principal, graph_id) as graph:
            found = graph.aget_state_history(config, filter=wanted, before=before, limit=query.limit)
            with suppress(*_UNREADABLE):
                return [shown_state(state, query.select) async for state in found]
        return []

    async def rest(self, principal: Principal, row: ThreadRow) -> Json:
        """What a thread at rest does and asks by its newest state, as columns of its row."""
        graph_id = graph_of(row)
        if graph_id is None or graph_id not in self.graphs:
            return {}
        async with self.graph(principal, graph_id) as graph:
            config: Any = CheckpointRef().config(row.id)
            return resting(await graph.aget_state(config))

    async def values(self, principal: Principal, rows: Sequence[ThreadRow]) -> list[Any]:
        """Read the newest values of threads, in their order; None where there are none, or no such graph."""
        async with AsyncExitStack() as stack:
            names = _known(rows, self.graphs)
            graphs = {name: await stack.enter_async_context(self.graph(principal, name)) for name in names}
            seats = asyncio.Semaphore(_AT_ONCE)

            async def read(row: ThreadRow) -> Any:
                graph = graphs.get(graph_of(row) or "")
                if graph is None:
                    return None
                config: Any = CheckpointRef().config(row.id)
                async with seats:
                    with suppress(*_UNREADABLE):
                        return shown_values(await graph.aget_state(config))
                return None

            return list(await asyncio.gather(*map(read, rows)))


def _known(rows: Iterable[ThreadRow], graphs: GraphRegistry) -> list[str]:
    return sorted({name for row in rows if (name := graph_of(row)) is not None and name in graphs})
