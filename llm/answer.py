"""What an offline model answers, cut into the pieces it is streamed in, and the faults that may strike between them."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from langchain_core.exceptions import ModelAPIError, ModelConnectionError, ModelRateLimitError, ModelTimeoutError
from pydantic import BaseModel, ConfigDict, Field

from .request import ChatRequest
from .usage import Usage, estimate_tokens

_WORD = re.compile(r"\s*\S+\s*|\s+")
_ARGS_PIECE = 24


class Fault(BaseModel):
    """Something that goes wrong with an answer.

    `rate_limit` and `server_error` refuse the request; `timeout`, `cut` and `malformed_json` strike after `after`
    pieces of the stream (0: before the first token).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["rate_limit", "server_error", "timeout", "cut", "malformed_json"]
    after: int = Field(0, ge=0, description="Pieces streamed before it strikes")
    status: int = Field(503, ge=500, le=599, description="Of a server_error")
    retry_after: float | None = Field(None, ge=0, description="Seconds a refusal asks to wait")
    seconds: float = Field(0, ge=0, description="How long a timeout hangs")

    @property
    def refuses(self) -> bool:
        """Whether the request gets an error status instead of an answer."""
        return self.kind in {"rate_limit", "server_error"}

    def error(self) -> Exception:
        """Make the exception an in-process model raises for it."""
        wait = "" if self.retry_after is None else f"; retry after {self.retry_after:g} s"
        match self.kind:
            case "rate_limit":
                return ModelRateLimitError(f"Scripted fault: 429 too many requests{wait}")
            case "server_error":
                return ModelAPIError(f"Scripted fault: {self.status} from the model{wait}")
            case "timeout":
                return ModelTimeoutError("Scripted fault: the model did not answer in time")
            case "cut":
                return ModelConnectionError("Scripted fault: the stream was cut")
            case "malformed_json":
                return json.JSONDecodeError("Scripted fault: malformed JSON", "{", 1)


@dataclass(frozen=True)
class Call:
    """A tool call; `args` as a string is sent as it is, valid JSON or not."""

    name: str
    args: Mapping[str, Any] | str
    id: str = ""

    @property
    def arguments(self) -> str:
        """The arguments as the wire carries them."""
        return self.args if isinstance(self.args, str) else json.dumps(self.args, ensure_ascii=False)


@dataclass(frozen=True)
class Piece:
    """A part of a streamed answer: some text, or some of one call's arguments (its start carries name and id)."""

    text: str = ""
    index: int | None = None
    id: str | None = None
    name: str | None = None
    args: str = ""


@dataclass(frozen=True)
class Answer:
    """One answer of an offline model."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    id: str = ""
    usage: Usage = field(default_factory=Usage)
    delay_s: float = 0
    fault: Fault | None = None

    @property
    def finish_reason(self) -> str:
        """OpenAI's word for why the answer ended."""
        return "tool_calls" if self.calls else "stop"

    def pieces(self) -> Iterator[Piece]:
        """Cut into words and, for each call, its head and slices of its arguments."""
        yield from (Piece(text=word) for word in _WORD.findall(self.text))
        for index, call in enumerate(self.calls):
            yield Piece(index=index, id=call.id, name=call.name)
            args = call.arguments
            yield from (Piece(index=index, args=args[i : i + _ARGS_PIECE]) for i in range(0, len(args), _ARGS_PIECE))

    async def paced(self) -> AsyncIterator[Piece]:
        """Stream the pieces at the answer's pace, up to the point where a fault strikes."""
        for count, piece in enumerate(self.pieces()):
            if self.fault and (self.fault.refuses or count >= self.fault.after):
                return
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            yield piece


def identified(answer: Answer, request: ChatRequest, *, seed: object) -> Answer:
    """Give an answer its ids and usage, all functions of the request and the seed."""
    digest = request.digest(seed)
    calls = tuple(
        call if call.id else replace(call, id=f"call_{request.turn}_{position}_{digest[:10]}")
        for position, call in enumerate(answer.calls)
    )
    given = estimate_tokens(*request.texts, *(str(tool.parameters) for tool in request.tools))
    taken = estimate_tokens(answer.text, *(call.arguments for call in calls))
    return replace(answer, calls=calls, id=f"msg_{request.turn}_{digest[:16]}", usage=Usage(given, taken))


def shaped(value: Mapping[str, Any], request: ChatRequest) -> Answer:
    """Answer a demand for a shape: as a call of it, or as JSON text."""
    if request.structured is None or request.as_json:
        return Answer(text=json.dumps(value, ensure_ascii=False))
    return Answer(calls=(Call(request.structured.name, value),))
