"""Google's Gemini API."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Protocol, TypeVar

import orjson

from ..catalog import Model, Provider
from ..chat import Body, CompletionRequest
from ..errors import Interrupted, Refused, Rejected
from ..events import Batch, Event
from ..usage import estimate_tokens
from .conversation import dumped, translated
from .gemini_cache import Prefixes
from .gemini_events import Content
from .gemini_request import generate_body
from .http import Http, malformed
from .sse import frames
from .upstream import Upstream
from .vectors import check_vectors

T_co = TypeVar("T_co", covariant=True)


class _Send(Protocol[T_co]):
    async def __call__(self, path: str, body: bytes, *, timeout_s: float) -> T_co: ...


class GeminiAdapter:
    """Speaks to one endpoint of this API."""

    def __init__(self, provider: Provider, http: Http) -> None:
        self._upstream = Upstream(provider, http, key_header=("x-goog-api-key", ""), headers={})
        self._prefixes = Prefixes(self._upstream) if "context_cache" in provider.traits else None

    async def answer(
        self, model: Model, request: CompletionRequest, *, timeout_s: float
    ) -> AsyncGenerator[Batch, None]:
        """Ask; a batch holds the events of one read from the socket."""
        body, content = translated(generate_body, model, request), Content()
        if not request.streamed:
            raw = await self._send(self._upstream.whole, model, "generateContent", body, timeout_s)
            yield Batch(self._read(content, [raw]))
            if not content.done:
                raise malformed()
            return
        reading = await self._send(self._upstream.open, model, "streamGenerateContent?alt=sse", body, timeout_s)
        try:
            while whole := await reading.next():
                if events := self._read(content, [data for _, data in frames(whole)]):
                    yield Batch(events)
            if not content.done:
                raise Interrupted("The model's answer broke off.")
            reading.finish()
        finally:
            reading.close()

    async def embed(self, model: Model, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Embed texts; Gemini takes no tokens."""
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if not all(isinstance(text, str) for text in texts):
            raise Rejected(f"{model.id} embeds texts, not tokens.", code="unsupported_value", param="input")
        name = f"models/{model.upstream}"
        size = {"outputDimensionality": body["dimensions"]} if body.get("dimensions") else {}
        asked = [{"model": name, "content": {"parts": [{"text": text}]}, **size} for text in texts]
        raw = await self._upstream.whole(
            f"/{name}:batchEmbedContents", dumped({"requests": asked}), timeout_s=timeout_s
        )
        try:
            vectors = [one["values"] for one in orjson.loads(raw)["embeddings"]]
        except (orjson.JSONDecodeError, KeyError, TypeError) as exc:
            raise malformed() from exc
        tokens = estimate_tokens(*texts)
        answer = {
            "object": "list",
            "data": [{"object": "embedding", "index": at, "embedding": vector} for at, vector in enumerate(vectors)],
            "model": model.upstream,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "estimated": True},
        }
        check_vectors(answer, texts)
        return answer

    async def close(self) -> None:
        """Let go of prefixes that are being stored; the connections are the process's."""
        if self._prefixes is not None:
            self._prefixes.close()

    async def _send(self, send: _Send[T_co], model: Model, verb: str, body: Body, timeout_s: float) -> T_co:
        """Send a request, its prefix by name where the provider has it; if that is gone, once more as it is."""
        path = f"/models/{model.upstream}:{verb}"
        used = self._prefixes.used(model, body) if self._prefixes is not None else body
        try:
            return await send(path, dumped(used), timeout_s=timeout_s)
        except (Refused, Rejected):
            if used is body or self._prefixes is None:
                raise
            self._prefixes.forget(used["cachedContent"])
        return await send(path, dumped(body), timeout_s=timeout_s)

    def _read(self, content: Content, chunks: list[bytes]) -> list[Event]:
        events: list[Event] = []
        for data in chunks:
            content.read(data, events)
        if content.error is not None:
            raise self._upstream.told(content.error)
        return events
