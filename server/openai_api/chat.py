"""`POST /v1/chat/completions`: one request, one answer, as a whole or as it is made."""

from __future__ import annotations

import time

from ...llm.chat import CompletionRequest, Outcome
from ...llm.dialect import without_usage
from ...llm.dialect_encode import DONE, ChunkWriter, encode_completion
from ...llm.dialect_request import read_chat
from ...llm.errors import Interrupted
from ...llm.events import Batch
from .controls import read_headers
from .door import Visitor
from .exchange import Exchange, Headers
from .serving import Answering, Gateway
from .watching import Watch


async def chat(exchange: Exchange, gateway: Gateway, visitor: Visitor) -> None:
    """Answer; when the client hangs up the upstream is hung up on too, and what was used is paid."""
    raw = await exchange.body()
    body = read_chat(raw)
    visitor.check_model(body["model"])
    caller, controls = read_headers(exchange.headers, visitor.principal, visitor.key_id)
    guess = visitor.admit(len(raw), time.monotonic())
    request = CompletionRequest(body=body, caller=caller, controls=controls, raw=raw, id=exchange.id)
    answering = gateway.answer(request)
    try:
        with Watch(exchange.receive):
            await answering.first()
            await (_stream if request.streamed else _whole)(exchange, request, answering)
    finally:
        await answering.close()
        visitor.correct(guess, answering.outcome.usage.total_tokens)


def told(outcome: Outcome) -> Headers:
    """What an answer's head says of how it came about."""
    headers = [
        (b"x-codelab-cache", outcome.cache.encode()),
        (b"x-codelab-model", outcome.model.encode("ascii", "replace")),
        (b"x-codelab-attempts", b"%d" % outcome.attempts),
    ]
    if outcome.cache_key:
        headers.append((b"x-codelab-cache-key", outcome.cache_key.encode()))
    if outcome.degraded:
        headers.append((b"x-codelab-degraded", outcome.degraded.encode()))
    return headers


async def _whole(exchange: Exchange, request: CompletionRequest, answering: Answering) -> None:
    batches = [batch async for batch in answering]
    if not batches:
        raise _nothing()
    if len(batches) == 1 and batches[0].raw is not None:
        body = batches[0].raw
    else:
        events = [event for batch in batches for event in batch.events]
        body = encode_completion(events, answering.outcome.model or request.model)
    await exchange.reply(200, body, told(answering.outcome))


async def _stream(exchange: Exchange, request: CompletionRequest, answering: Answering) -> None:
    """Send each batch as it comes, at once; an error on the way is told by whoever called."""
    frames = Frames(request, answering.outcome)
    async for batch in answering:
        if not exchange.begun:
            await exchange.begin_stream(told(answering.outcome))
        if written := frames.write(batch):
            await exchange.write(written)
    if not exchange.begun:
        raise _nothing()
    await exchange.write(frames.end(), last=True)


def _nothing() -> Interrupted:
    return Interrupted("The model gave no answer.")


class Frames:
    """Writes batches as SSE frames: bytes of OpenAI's dialect as they are, events as chunks.

    Args:
        request: Tells whether the usage is wanted.
        outcome: Tells who answers, once that is known.
    """

    __slots__ = ("_chunks", "_model", "_outcome", "_passed", "_with_usage")

    def __init__(self, request: CompletionRequest, outcome: Outcome) -> None:
        self._with_usage = bool((request.body.get("stream_options") or {}).get("include_usage"))
        self._model = request.model
        self._outcome = outcome
        self._chunks: ChunkWriter | None = None
        self._passed = False

    def write(self, batch: Batch) -> bytes:
        """Render a batch."""
        if batch.raw is not None:
            self._passed = True
            return batch.raw if self._with_usage else without_usage(batch.raw)
        if self._chunks is None:
            self._chunks = ChunkWriter(self._outcome.model or self._model, with_usage=self._with_usage)
            if self._passed:  # another provider began, and had said no more than the role
                self._chunks.role_is_told()
        return self._chunks.write(batch.events)

    def end(self) -> bytes:
        """Render what closes an answer that is whole."""
        return self._chunks.end() if self._chunks is not None else DONE
