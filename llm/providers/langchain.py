"""Any LangChain chat model as an adapter; loaded only where a catalogue names one."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Final

import orjson
from langchain_core import exceptions as raised
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, convert_to_messages

from ...core.errors import ConfigError
from ..catalog import Model, Provider
from ..chat import CompletionRequest
from ..errors import ConnectFailed, Overloaded, Refused, Rejected, ServerFailed, TimedOut, UpstreamError
from ..events import Batch, Event, Finish, Reasoning, Text, ToolCall, Used
from ..usage import Usage
from .failures import LONGEST, failure

_PASSED: Final = ("temperature", "top_p", "max_tokens", "max_completion_tokens", "stop", "seed", "response_format")
_REASONS: Final = {"end_turn": "stop", "max_tokens": "length", "tool_use": "tool_calls", "STOP": "stop"}
_ERRORS: Final[Mapping[type[Exception], Callable[[str], UpstreamError]]] = {
    raised.ModelRateLimitError: Overloaded,
    raised.ModelTimeoutError: TimedOut,
    raised.ModelConnectionError: ConnectFailed,
    raised.ModelAuthenticationError: Refused,
    raised.ModelPermissionDeniedError: Refused,
    raised.ModelNotFoundError: partial(Rejected, status=404, code="model_not_found"),
    raised.ContextOverflowError: partial(Rejected, code="context_length_exceeded"),
    raised.ModelInvalidRequestError: Rejected,
    raised.ModelAPIError: ServerFailed,
}


class LangChainAdapter:
    """Answers from chat models of LangChain's.

    Args:
        provider: Its `base_url` names the model, or what makes one, as `module:name`.
        model: The model itself, in its place.
    """

    def __init__(self, provider: Provider, model: BaseChatModel | None = None) -> None:
        self._target = provider.base_url
        self._model = model

    async def answer(
        self, model: Model, request: CompletionRequest, *, timeout_s: float
    ) -> AsyncGenerator[Batch, None]:
        """Ask; a streamed answer gives a batch for each of LangChain's chunks."""
        del model
        messages, chain = self._bound(request)
        answer = _Answer()
        if request.streamed:
            async with aclosing(chain.astream(messages)) as chunks:
                while (chunk := await _within(timeout_s, anext(chunks, None))) is not None:
                    if events := answer.read(chunk):
                        yield Batch(events)
            yield Batch(answer.end())
        else:
            whole = await _within(timeout_s, chain.ainvoke(messages))
            yield Batch([*answer.read(whole), *answer.end()])

    async def embed(self, model: Model, body: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Refuse: chat models make no embeddings."""
        del body, timeout_s
        raise Rejected(f"{model.id} makes no embeddings.", code="unsupported_model", param="model")

    async def close(self) -> None:
        """Nothing is kept here."""

    def _bound(self, request: CompletionRequest) -> tuple[list[BaseMessage], Any]:
        """Bring a request into LangChain's form: messages, and the model with its tools and settings."""
        if self._model is None:
            self._model = _opened(self._target)
        body = request.body
        chain: Any = self._model
        try:
            messages = convert_to_messages(body["messages"])
            if tools := body.get("tools"):
                chain = chain.bind_tools(tools, tool_choice=body.get("tool_choice"))
        except (ValueError, TypeError, KeyError, NotImplementedError) as exc:
            raise Rejected(f"The request does not fit this model: {exc}"[:LONGEST]) from exc
        passed = {name: body[name] for name in _PASSED if body.get(name) is not None}
        return messages, chain.bind(**passed) if passed else chain


async def _within(seconds: float, asked: Awaitable[Any]) -> Any:
    """Wait for LangChain, and name what it raises."""
    try:
        async with asyncio.timeout(seconds):
            return await asked
    except UpstreamError:
        raise
    except TimeoutError as exc:
        raise TimedOut("The model was silent for too long.") from exc
    except Exception as exc:
        raise named(exc) from exc


def named(error: Exception) -> UpstreamError:
    """Make ours of an error that a chat model raised: of LangChain's tree, or any that has a status."""
    message = str(error)[:LONGEST]
    for kind, ours in _ERRORS.items():
        if isinstance(error, kind):
            return ours(message)
    status = getattr(error, "status_code", None)
    return failure(status, {}, orjson.dumps({"message": message})) if isinstance(status, int) else ServerFailed(message)


class _Answer:
    """One answer as LangChain gives it: usages of chunks are summed, not replaced."""

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._raw: dict[str, Any] = {}
        self._reason = ""
        self._calls = False

    def read(self, message: BaseMessage) -> list[Event]:
        """Read a chunk, or a whole message."""
        events = [*_thoughts(message), *_texts(message.content)]
        calls = _calls(message)
        self._calls = self._calls or bool(calls)
        told = message.response_metadata
        self._reason = str(told.get("finish_reason") or told.get("stop_reason") or self._reason)
        if usage := getattr(message, "usage_metadata", None):
            self._raw = {**self._raw, **usage}
            self._usage = (self._usage or Usage()) + _read_usage(usage)
        return [*events, *calls]

    def end(self) -> list[Event]:
        """Give what closes the answer."""
        reason = _REASONS.get(self._reason, self._reason)
        if reason not in {"stop", "length", "tool_calls", "content_filter"}:
            reason = "tool_calls" if self._calls else "stop"
        used = [] if self._usage is None else [Used(self._usage, self._raw)]
        return [Finish(reason), *used]


def _opened(target: str) -> BaseChatModel:
    """Import the model object, or call what makes it."""
    module, _, name = target.partition(":")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ConfigError(
            f"There is no chat model at {target!r}: base_url of kind langchain is `module:name`."
        ) from exc
    found = found if isinstance(found, BaseChatModel) else found()
    if not isinstance(found, BaseChatModel):
        raise ConfigError(f"{target!r} is no LangChain chat model, nor does it make one.")
    return found


def _texts(content: Any) -> list[Event]:
    if isinstance(content, str):
        return [Text(content)] if content else []
    events: list[Event] = []
    for block in content:
        if isinstance(block, str):
            events.append(Text(block))
        elif block.get("type") == "text" and block.get("text"):
            events.append(Text(block["text"]))
        elif block.get("type") in {"thinking", "reasoning"}:
            thought = block.get("thinking") or block.get("reasoning") or ""
            events.append(Reasoning(thought, signature=block.get("signature") or ""))
    return events


def _thoughts(message: BaseMessage) -> list[Event]:
    thought = message.additional_kwargs.get("reasoning_content")
    return [Reasoning(thought)] if isinstance(thought, str) and thought else []


def _calls(message: BaseMessage) -> Sequence[Event]:
    if isinstance(message, AIMessageChunk):
        return [
            ToolCall(call.get("index") or 0, call.get("id") or "", call.get("name") or "", call.get("args") or "")
            for call in message.tool_call_chunks
        ]
    if not isinstance(message, AIMessage):
        return ()
    made = [(call["id"], call["name"], orjson.dumps(call["args"]).decode()) for call in message.tool_calls]
    made += [(call["id"], call["name"] or "", call["args"] or "") for call in message.invalid_tool_calls]
    return [ToolCall(at, call_id or "", name, args) for at, (call_id, name, args) in enumerate(made)]


def _read_usage(raw: Mapping[str, Any]) -> Usage:
    given, taken = raw.get("input_token_details") or {}, raw.get("output_token_details") or {}
    short, hour = given.get("ephemeral_5m_input_tokens") or 0, given.get("ephemeral_1h_input_tokens") or 0
    return Usage(
        input_tokens=raw.get("input_tokens") or 0,
        output_tokens=raw.get("output_tokens") or 0,
        cached_tokens=given.get("cache_read") or 0,
        cache_write_tokens=max(max(given.get("cache_creation") or 0, short + hour) - hour, 0),
        cache_write_1h_tokens=hour,
        reasoning_tokens=taken.get("reasoning") or 0,
    )
