"""One delivery of a graph's run, streamed as records of the thread protocol.

A redelivery after a crash goes on from the newest checkpoint, and what came after that is told once more, under new ids
and numbers: clients see `running` again, then the state as it was saved, then the repeated step. `closing_of` ends the
messages that the crash cut off, so that no client waits for them or mixes them with their repetition.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

from langchain_core._api import suppress_langchain_beta_warning
from langchain_core.runnables import RunnableConfig
from langgraph.pregel import Pregel
from langgraph.types import Interrupt

from ...core.types import RunStatus
from ...store.records import LoggedEvent, NewEvent
from .shaping import Shaper
from .words import RECORD, broken_message, lifecycle, requested

_FAILED: Final = frozenset({RunStatus.ERROR, RunStatus.TIMEOUT})
_STOPPED: Final = "The run stopped before this message was complete."
_CUT_OFF: Final = "The run was interrupted and goes on from its last checkpoint; this message may be said anew."


class ProtocolFeed:
    """Streams a graph as lists of records. Iterate it once, inside `contextlib.aclosing(feed.stream())`.

    Cancelling the task that iterates cancels the graph and waits until it has stopped. What the graph raises comes out.

    Args:
        graph: The graph, with its checkpointer.
        graph_input: State, a `Command`, or None to go on from the checkpoint.
        config: The run's config.
        graph_name: What clients know the graph as.
        how: What else `astream` takes: context, control, interrupt_before, interrupt_after, durability.
    """

    def __init__(
        self,
        graph: Pregel[Any, Any, Any, Any],
        graph_input: Any,
        config: RunnableConfig,
        *,
        graph_name: str,
        **how: Any,
    ) -> None:
        self._graph = graph
        self._input = graph_input
        self._config = config
        self._name = graph_name
        self._how = how
        self._shaper = Shaper()

    @property
    def values(self) -> Any:
        """The root's last state; None if there was none."""
        return self._shaper.values

    @property
    def interrupts(self) -> list[Interrupt]:
        """What the graph asks; complete once the stream has ended."""
        return [interrupt for _, interrupt in self._shaper.asked.values()]

    async def stream(self) -> AsyncGenerator[list[NewEvent], None]:
        """Drive the graph to its rest; each list holds what has come since the one before."""
        yield [lifecycle("running", self._name)]
        graph: Any = self._graph
        with suppress_langchain_beta_warning():
            run = await graph.astream_events(self._input, self._config, version="v3", **self._how)
        queue: asyncio.Queue[Mapping[str, Any] | None] = asyncio.Queue()
        pump = asyncio.create_task(_pump(run, queue))
        try:
            while streamed := await _taken(queue):
                yield [event for each in streamed for event in self._shaper.shape(each)]
            await pump
        finally:
            await run.abort()
            await asyncio.wait({pump})

    def closing(self, status: str, error: Mapping[str, Any] | None = None) -> list[NewEvent]:
        """Say how the run ended: the last events, to be logged once the stream has ended and its state is saved."""
        asked = self._shaper.asked.values() if status not in _FAILED and error is None else ()
        questions = [requested(namespace, each.id, each.value) for namespace, each in asked]
        return [
            *self._shaper.break_off(_STOPPED),
            *questions,
            last_word(self._name, status, error, asks=bool(questions)),
        ]


def last_word(graph_name: str, status: str, error: Mapping[str, Any] | None = None, *, asks: bool = False) -> NewEvent:
    """The terminal lifecycle event of a run.

    Args:
        graph_name: What clients know the graph as.
        status: The run's status.
        error: With `message`; a run that was stopped has one too, or SDKs would wait for its end for ever.
        asks: Whether the graph waits for an answer.
    """
    if status in _FAILED or error is not None:
        return lifecycle("failed", graph_name, error=str((error or {}).get("message", status)))
    return lifecycle("interrupted" if asks or status == RunStatus.INTERRUPTED else "completed", graph_name)


def closing_of(records: Iterable[LoggedEvent]) -> list[NewEvent]:
    """Close the messages that an earlier delivery of the same run left open; `records` are that run's."""
    opened: dict[tuple[Sequence[str], str], None] = {}
    for record in records:
        if record.type != RECORD or record.data["method"] != "messages":
            continue
        params = record.data["params"]
        namespace, said = tuple(params["namespace"]), params["data"]
        if said["event"] == "message-start":
            opened[namespace, str(said.get("id"))] = None
        elif said["event"] in {"message-finish", "error"}:
            _close(opened, namespace, said.get("id"))
    return [broken_message(namespace, message_id, _CUT_OFF) for namespace, message_id in opened]


def _close(opened: dict[tuple[Sequence[str], str], None], namespace: Sequence[str], message_id: str | None) -> None:
    """The end names its message only where two were open at once."""
    for key in [key for key in opened if key[0] == namespace and message_id in (None, key[1])][:1]:
        del opened[key]


async def _pump(run: AsyncIterator[Mapping[str, Any]], queue: asyncio.Queue[Mapping[str, Any] | None]) -> None:
    try:
        async for streamed in run:
            queue.put_nowait(streamed)
    finally:
        queue.put_nowait(None)


async def _taken(queue: asyncio.Queue[Mapping[str, Any] | None]) -> list[Mapping[str, Any]]:
    """Wait for the next event and take all that are there; empty at the end."""
    taken: list[Mapping[str, Any]] = []
    streamed = await queue.get()
    while streamed is not None:
        taken.append(streamed)
        if queue.empty():
            return taken
        streamed = queue.get_nowait()
    if taken:
        queue.put_nowait(None)
    return taken
