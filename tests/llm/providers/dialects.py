"""One short answer in the words of each provider, and how to ask for it."""

from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
from pydantic import SecretStr

from codelab.llm.catalog import Model, Provider
from codelab.llm.chat import Caller, CompletionRequest
from codelab.llm.events import Finish, Text, Used
from codelab.llm.providers.anthropic import AnthropicAdapter
from codelab.llm.providers.gemini import GeminiAdapter
from codelab.llm.providers.http import Http
from codelab.llm.providers.openai import OpenAIAdapter
from tests.support.upstream import frame

KEY = "sk-0123456789abcdef"


@dataclass(frozen=True)
class Dialect:
    """A provider's API as tests need it: an answer whole and in frames, an error in its form."""

    name: str
    adapter: type
    upstream: str
    answer: dict
    frames: tuple[bytes, ...]

    def error(self, message: str) -> dict:
        if self.name == "gemini":
            return {"error": {"code": 400, "message": message, "status": "INVALID_ARGUMENT"}}
        if self.name == "anthropic":
            return {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}

    def __str__(self) -> str:
        return self.name


def _chunk(delta: dict, reason: str | None = None) -> bytes:
    return frame({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                  "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})  # fmt: skip


_OPENAI_USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
_ANTHROPIC_USAGE = {"input_tokens": 5, "output_tokens": 2}
_GEMINI_USAGE = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}

OPENAI = Dialect(
    "openai",
    OpenAIAdapter,
    "gpt-6-luna",
    {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello there"}, "finish_reason": "stop"}],
        "usage": _OPENAI_USAGE,
    },
    (
        _chunk({"role": "assistant", "content": "Hello"}),
        _chunk({"content": " there"}),
        _chunk({}, "stop"),
        frame({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [],
               "usage": _OPENAI_USAGE}),
        b"data: [DONE]\n\n",
    ),
)  # fmt: skip
ANTHROPIC = Dialect(
    "anthropic",
    AnthropicAdapter,
    "claude-haiku-5-5",
    {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-5-5",
        "content": [{"type": "text", "text": "Hello there"}], "stop_reason": "end_turn", "stop_sequence": None,
        "usage": _ANTHROPIC_USAGE,
    },
    tuple(
        frame(data, data["type"])
        for data in (
            {"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "content": [],
             "model": "claude-haiku-5-5", "stop_reason": None, "stop_sequence": None,
             "usage": {"input_tokens": 5, "output_tokens": 1}}},
            {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
            {"type": "ping"},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}},
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " there"}},
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None},
             "usage": {"output_tokens": 2}},
            {"type": "message_stop"},
        )
    ),
)  # fmt: skip
GEMINI = Dialect(
    "gemini",
    GeminiAdapter,
    "gemini-3.5-flash-lite",
    {
        "candidates": [{"index": 0, "finishReason": "STOP",
                        "content": {"role": "model", "parts": [{"text": "Hello there"}]}}],
        "usageMetadata": _GEMINI_USAGE, "modelVersion": "gemini-3.5-flash-lite", "responseId": "r1",
    },
    (
        frame({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": "Hello"}]}}],
               "responseId": "r1"}),
        frame({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": " there"}]},
                               "finishReason": "STOP"}], "usageMetadata": _GEMINI_USAGE, "responseId": "r1"}),
    ),
)  # fmt: skip
DIALECTS = (OPENAI, ANTHROPIC, GEMINI)


def model_at(url: str, kind: str, upstream: str, **more) -> Model:
    """Make a row whose provider listens at `url`."""
    provider = Provider(name=kind, kind=kind, base_url=url, key=SecretStr(KEY), **more)
    return Model(id="short", provider=provider, upstream=upstream)


def asking(*, stream: bool, **body) -> CompletionRequest:
    """Make a request."""
    said = {"model": "short", "messages": [{"role": "user", "content": "Hi"}], **body}
    return CompletionRequest(body={**said, "stream": True} if stream else said, caller=Caller(user_id="u"))


@asynccontextmanager
async def connected(dialect: Dialect, url: str, **more):
    """Give an adapter, its model, and the pool behind it."""
    http = Http()
    model = model_at(url, dialect.name, dialect.upstream, **more)
    try:
        yield dialect.adapter(model.provider, http), model, http
    finally:
        await http.close()


async def answered(adapter, model: Model, request: CompletionRequest, *, timeout_s: float = 5) -> list:
    """Read an answer to its end and give all its events."""
    return [event async for batch in adapter.answer(model, request, timeout_s=timeout_s) for event in batch.events]


def told(events: list) -> tuple[str, str, dict | None]:
    """Sum an answer up: its text, why it ended, its usage."""
    text = "".join(event.text for event in events if isinstance(event, Text))
    reasons = [event.reason for event in events if isinstance(event, Finish)]
    usages = [event.usage for event in events if isinstance(event, Used)]
    return text, ",".join(reasons), usages[-1] if usages else None


def dumps(data: dict) -> bytes:
    return orjson.dumps(data)
