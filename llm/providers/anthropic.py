"""Anthropic's Messages API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ..catalog import Model, Provider
from ..chat import CompletionRequest
from ..errors import Interrupted, Rejected
from ..events import Batch, Event
from .anthropic_events import Message
from .anthropic_request import forced_json, messages_body
from .conversation import dumped, translated
from .http import Http
from .sse import frames
from .upstream import Upstream

_VERSION = "2023-06-01"


class AnthropicAdapter:
    """Speaks to one endpoint of this API."""

    def __init__(self, provider: Provider, http: Http) -> None:
        headers = {"anthropic-version": _VERSION}
        self._upstream = Upstream(provider, http, key_header=("x-api-key", ""), headers=headers)

    async def answer(
        self, model: Model, request: CompletionRequest, *, timeout_s: float
    ) -> AsyncGenerator[Batch, None]:
        """Ask; a batch holds the events of one read from the socket."""
        body = dumped(translated(messages_body, model, request))
        message = Message(json_tool=forced_json(model, request.body))
        if not request.streamed:
            answer = message.whole(await self._upstream.whole("/messages", body, timeout_s=timeout_s))
            self._check(message)
            yield Batch(answer)
            return
        reading = await self._upstream.open("/messages", body, timeout_s=timeout_s)
        try:
            while not message.over and (whole := await reading.next()):
                events: list[Event] = []
                for _, data in frames(whole):
                    message.read(data, events)
                self._check(message)
                if events:
                    yield Batch(events)
            if not message.done:
                raise Interrupted("The model's answer broke off.")
            reading.finish()
        finally:
            reading.close()

    async def embed(self, model: Model, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Refuse: Anthropic has no embeddings."""
        del body, timeout_s
        raise Rejected(f"{model.id} makes no embeddings.", code="unsupported_model", param="model")

    async def close(self) -> None:
        """Nothing is kept here: the connections are the process's."""

    def _check(self, message: Message) -> None:
        if message.error is not None:
            raise self._upstream.told(message.error)
