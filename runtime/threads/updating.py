"""Changing the state of threads by hand: one update, or the supersteps that a new thread begins with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from langgraph.errors import EmptyInputError, InvalidUpdateError
from langgraph.types import StateUpdate as Written

from ...core.errors import BadRequest, Conflict
from ...core.types import Principal, utc_now
from ...store.models import ThreadRow
from ..agent_runs.inputs import input_of
from ..graphs.registry import Graph
from .holding import Held, Holds
from .reading import StateReader
from .shapes import CheckpointRef, StateChange, StateUpdate, Superstep
from .showing import Json, graph_of, resting

_NO_GRAPH = (
    "Thread '{}' has no assigned graph ID: no run has been made on it. Make one, or set 'graph_id' in the thread's "
    "metadata, and try again."
)


class StateWriter:
    """Writes state while the thread is held, and with it what the thread does and asks from then on.

    Args:
        holds: Keeps runs away meanwhile.
        reader: Opens the thread's graph.
    """

    def __init__(self, holds: Holds, reader: StateReader) -> None:
        self._holds = holds
        self._reader = reader

    async def update(self, principal: Principal, thread_id: str, sent: StateUpdate) -> Json:
        """Write values as if a node had returned them; where the new checkpoint is.

        Raises:
            BadRequest: The thread has no graph yet, or the graph takes no such update.
            Forbidden: The graph keeps that part of its state to itself.
            Conflict: A run is active, or the thread belongs to a workspace.
        """
        self._reader.graphs.check_steered({"update": sent.values}, namespace=sent.at.checkpoint_ns)
        async with self._holds.on(principal, thread_id) as held, self._writing(principal, held) as graph:
            config = _writes(sent.at, held.thread)
            written: Any = await graph.aupdate_state(config, sent.values, sent.as_node)
        where = dict(written["configurable"])
        return {"checkpoint": where, "configurable": where, "checkpoint_id": where["checkpoint_id"]}

    async def begin(self, principal: Principal, row: ThreadRow, supersteps: Sequence[Superstep]) -> None:
        """Insert a thread that begins with a state; no thread is left when that fails."""
        for change in (change for step in supersteps for change in step.updates):
            self._reader.graphs.check_written(change.values)
            self._reader.graphs.check_steered(change.command)
        with _told():
            steps = [[_written(change) for change in step.updates] for step in supersteps]
        async with self._holds.on(principal, row.id, new=row) as held, self._writing(principal, held) as graph:
            await graph.abulk_update_state(_writes(CheckpointRef(), row), steps)

    @asynccontextmanager
    async def _writing(self, principal: Principal, held: Held) -> AsyncIterator[Graph]:
        graph_id = graph_of(held.thread)
        if graph_id is None:
            raise BadRequest(_NO_GRAPH.format(held.thread.id))
        if held.thread.workspace_id is not None:
            raise Conflict("This thread belongs to a workspace; only its turns change its state")
        opened = self._reader.graph(principal, graph_id, access="threads.update", saver=held.saver)
        async with opened as graph:
            with _told():
                yield graph
            newest: Any = CheckpointRef().config(held.thread.id)
            rest, now = resting(await graph.aget_state(newest)), utc_now()
        held.changes = {**rest, "error": None, "updated_at": now, "state_updated_at": now}


def _writes(at: CheckpointRef, row: ThreadRow) -> Any:
    return {**at.config(row.id), "metadata": {"graph_id": graph_of(row)}}


def _written(change: StateChange) -> Written:
    values = change.values if change.command is None else input_of({"command": change.command})
    return Written(values=values, as_node=change.as_node)  # type: ignore[arg-type]


@contextmanager
def _told() -> Iterator[None]:
    """What the graph says of an update that it cannot take; its reducers may raise anything of the sort."""
    try:
        yield
    except (InvalidUpdateError, EmptyInputError, ValueError, TypeError, KeyError) as exc:
        raise BadRequest(str(exc) or type(exc).__name__) from exc
