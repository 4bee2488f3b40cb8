"""One graph's stream in the modes that a client named, as the records that its SSE will send (wire: C.3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessageChunk, BaseMessage, BaseMessageChunk, message_chunk_to_message
from langgraph.pregel import Pregel
from langgraph.types import Interrupt

from ...store.records import NewEvent
from ..runs.plain import plain, plain_text
from .parts import part, written_part

_INTERRUPT: Final = "__interrupt__"
_OURS: Final = {"messages-tuple": "messages", "lifecycle": None, "events": None}
"""What the wire's modes are called in LangGraph; None: not a mode of the graph's own."""


class RestFeed:
    """Iterate it once; then `interrupts` and `values` tell where the graph came to rest.

    Args:
        graph: With the run's own saver.
        sent: Input or command.
        config: The run's.
        modes: Stream modes of the wire.
        subgraphs: Whether their parts are wanted too.
        options: Further arguments of `astream`.
    """

    def __init__(
        self,
        *,
        graph: Pregel[Any, Any, Any, Any],
        sent: Any,
        config: Any,
        modes: Sequence[str],
        subgraphs: bool,
        options: Mapping[str, Any],
    ) -> None:
        self.interrupts: list[Interrupt] = []
        self.values: Any = None
        self._graph = graph
        self._sent = sent
        self._config = config
        self._modes = frozenset(modes)
        self._subgraphs = subgraphs
        self._options = dict(options)
        self._messages: dict[str, BaseMessage] = {}
        self._metadata: tuple[Any, str] = None, ""

    def closing(self, status: str, error: Mapping[str, Any] | None = None) -> list[NewEvent]:  # noqa: ARG002
        """Nothing: an SSE stream ends with the run, and says what it failed of in the record of its end."""
        return []

    async def stream(self) -> AsyncGenerator[list[NewEvent], None]:
        """Stream; each step's records."""
        own = (_OURS.get(mode, mode) for mode in self._modes)
        wanted = {mode for mode in own if mode is not None}
        asked = {"stream_mode": sorted(wanted | {"values"}), "subgraphs": self._subgraphs, **self._options}
        if "events" in self._modes:
            async for event in self._graph.astream_events(self._sent, self._config, version="v2", **asked):
                yield self._event(event)
            return
        stream: Any = self._graph.astream
        async for parts in stream(self._sent, self._config, **asked):
            yield self._take(parts)

    def _event(self, event: Any) -> list[NewEvent]:
        """An event of LangChain's own; the root's chunks carry the parts of the other modes."""
        said = [part("events", (), plain(event))]
        if event["event"] == "on_chain_stream" and not event["parent_ids"]:
            return self._take(event["data"]["chunk"]) + said
        return said

    def _take(self, parts: Any) -> list[NewEvent]:
        ns, mode, data = parts if self._subgraphs else ((), *parts)
        if mode == "values":
            return self._values(ns, data)
        if mode == "messages":
            return self._message(ns, *data)
        if mode == "updates" and not ns and isinstance(data, dict) and _INTERRUPT in data:
            self._asks(data[_INTERRUPT])
        return [part(mode, ns, plain(data))] if mode in self._modes else []

    def _values(self, ns: Sequence[str], data: Any) -> list[NewEvent]:
        if not ns:
            asked = data.get(_INTERRUPT, ()) if isinstance(data, dict) else ()
            self._asks(asked)
            self.values = data
        return [part("values", ns, plain(data))] if "values" in self._modes else []

    def _asks(self, interrupts: Sequence[Interrupt]) -> None:
        self.interrupts += [each for each in interrupts if each not in self.interrupts]

    def _message(self, ns: Sequence[str], message: Any, metadata: Mapping[str, Any]) -> list[NewEvent]:
        said: list[NewEvent] = []
        if "messages-tuple" in self._modes:
            said.append(written_part("messages", ns, f"[{plain_text(message)},{self._about(metadata)}]"))
        if "messages" in self._modes and isinstance(message, BaseMessage):
            said += self._growing(ns, message, metadata)
        return said

    def _about(self, metadata: Mapping[str, Any]) -> str:
        """A message's chunks share their metadata: it is written once."""
        if metadata is not self._metadata[0]:
            self._metadata = metadata, plain_text(metadata)
        return self._metadata[1]

    def _growing(self, ns: Sequence[str], message: BaseMessage, metadata: Mapping[str, Any]) -> list[NewEvent]:
        """The old form: each chunk as the whole message so far."""
        known = self._messages.get(message.id or "")
        said = [] if known is not None else [part("messages/metadata", ns, {message.id: {"metadata": plain(metadata)}})]
        grown: Any = message
        if isinstance(message, BaseMessageChunk) and isinstance(known, BaseMessageChunk):
            grown = known + message
        self._messages[message.id or ""] = grown
        whole = message_chunk_to_message(grown) if isinstance(grown, BaseMessageChunk) else grown
        name = "messages/partial" if isinstance(message, AIMessageChunk) else "messages/complete"
        return [*said, part(name, ns, [plain(whole)])]
