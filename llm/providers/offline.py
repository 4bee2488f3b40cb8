"""Models that need no network: the demo model, or a script of replies. LangChain is loaded when one is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import TYPE_CHECKING, Any

from ..catalog import Model, Provider
from ..chat import CompletionRequest
from ..errors import Interrupted, Malformed, Overloaded, Rejected, ServerFailed, TimedOut, UpstreamError
from ..events import Batch, Event, Finish, Text, ToolCall, Used
from .hashing import embedded

if TYPE_CHECKING:
    from ..answer import Answer, Fault, Piece
    from ..request import ChatRequest

Answerer = Callable[["ChatRequest"], "Answer"]


class OfflineAdapter:
    """Answers from what is here.

    Args:
        provider: Its `base_url` names a file of scripted replies; without one the demo model answers.
        answerer: What to answer, in their place.
    """

    def __init__(self, provider: Provider, answerer: Answerer | None = None) -> None:
        self._script = provider.base_url
        self._answerer = answerer

    async def answer(
        self, model: Model, request: CompletionRequest, *, timeout_s: float
    ) -> AsyncGenerator[Batch, None]:
        """Say it piece by piece at the model's pace; the faults of a script strike as a provider's would."""
        answer = self._answered(model, request)
        fault = answer.fault
        events: list[Event] = []
        async for piece in answer.paced():
            if request.streamed:
                yield Batch((_event(piece),))
            else:
                events.append(_event(piece))
        if fault is not None:
            if fault.kind == "timeout":
                await asyncio.sleep(min(fault.seconds, timeout_s))
            raise _error(fault)
        usage = answer.usage
        raw = {"prompt_tokens": usage.input_tokens, "completion_tokens": usage.output_tokens}
        end = (Finish(answer.finish_reason), Used(usage, {**raw, "total_tokens": usage.total_tokens}))
        yield Batch((*events, *end))

    async def embed(self, model: Model, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Embed by hashing; the same text always has the same vector."""
        del timeout_s
        return embedded(body, model.id)

    async def close(self) -> None:
        """Nothing is open."""

    def _answered(self, model: Model, request: CompletionRequest) -> Answer:
        from ..scripted import UnscriptedRequest  # noqa: PLC0415 - LangChain, which a process of the gateway may not need
        from ..wire import BadRequest, read_request  # noqa: PLC0415

        if self._answerer is None:
            self._answerer = _opened(self._script)
        try:
            return self._answerer(read_request({**request.body, "model": model.upstream}))
        except BadRequest as exc:
            raise Rejected(f"The request cannot be read: {exc}"[:500]) from exc
        except UnscriptedRequest as exc:
            raise Rejected(str(exc)[:500], code="unscripted") from exc


def _opened(script: str) -> Answerer:
    if script:
        from ..scripted import Playbook, Script  # noqa: PLC0415 - as above

        return Playbook(Script.load(script)).answer
    from ..demo import DemoChatModel  # noqa: PLC0415 - as above

    return DemoChatModel().answer


def _event(piece: Piece) -> Event:
    if piece.index is None:
        return Text(piece.text)
    return ToolCall(piece.index, piece.id or "", piece.name or "", piece.args)


def _error(fault: Fault) -> UpstreamError:
    said = f"Scripted fault: {fault.kind}"
    match fault.kind:
        case "rate_limit":
            return Overloaded(said, retry_after=fault.retry_after)
        case "server_error":
            return ServerFailed(said, retry_after=fault.retry_after)
        case "timeout":
            return TimedOut(said)
        case "cut":
            return Interrupted(said)
        case "malformed_json":
            return Malformed(said)
