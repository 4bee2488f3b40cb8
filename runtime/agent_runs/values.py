"""What a run answers with: a thread's values as the wire shows them, or what went wrong."""

from __future__ import annotations

from typing import Any

from ...core.types import Principal
from ...store.checkpoints import Checkpoints
from ...store.engine import Database
from ..graphs.registry import GraphRegistry
from ..items.service import ItemService
from ..runs.plain import plain
from ..threads.repository import get_thread
from .ending import Rest


def error_of(error: dict[str, Any]) -> dict[str, Any]:
    """Say that a run failed, in the place of its values."""
    return {"__error__": {"error": error.get("error") or error.get("code", "Error"), "message": error.get("message")}}


class Values:
    """Reads values through the thread's graph.

    Args:
        database: Where threads are.
        graphs: Opened for reading.
        checkpoints: Where the state is.
    """

    def __init__(self, database: Database, graphs: GraphRegistry, checkpoints: Checkpoints) -> None:
        self._database = database
        self._graphs = graphs
        self._checkpoints = checkpoints
        self._items = ItemService(checkpoints.store)

    async def of(self, principal: Principal, thread_id: str) -> Any:
        """The thread's newest values; what it asks stands under `__interrupt__`."""
        async with self._database.read() as session:
            thread = await get_thread(session, principal, thread_id)
        graph_id = str(thread.meta.get("graph_id"))
        if graph_id not in self._graphs:
            return {}
        config: Any = {"configurable": {"thread_id": thread_id}}
        opened = self._graphs.open(
            graph_id,
            access="threads.read",
            config=config,
            principal=principal,
            checkpointer=self._checkpoints.reader,
            store=self._items.store_of(principal),
        )
        async with opened as graph:
            state = await graph.aget_state(config)
        asked = [each for task in state.tasks for each in task.interrupts]
        return _with(plain(state.values), [plain(each) for each in asked])

    def shown(self, rest: Rest | None) -> Any:
        """The values that a run in this process ended with."""
        if rest is None:
            return {}
        return _with(plain(rest.values), [each for task in rest.interrupts.values() for each in task])


def _with(values: Any, asked: list[Any]) -> Any:
    return {**values, "__interrupt__": asked} if asked and isinstance(values, dict) else values
