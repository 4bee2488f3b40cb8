"""The OpenAI dialect of the scripted server: a request's JSON in, an answer's JSON or stream events out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from langchain_core.messages import convert_to_messages

from .answer import Answer, Fault, Piece
from .request import ChatRequest, Shape
from .usage import Usage


class BadRequest(ValueError):  # noqa: N818 - the status it is answered with
    """The body is not a chat completion request."""


def read_request(body: Mapping[str, Any]) -> ChatRequest:
    """Read a `/v1/chat/completions` body; `BadRequest` says what is wrong with it."""
    try:
        messages = convert_to_messages(body["messages"])
        tools = tuple(Shape.of_tool(tool) for tool in body.get("tools") or ())
        forced = _forced(body.get("tool_choice"), tools)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise BadRequest(f"not a chat completion request: {exc!r}") from exc
    wanted = _response_shape(body.get("response_format"))
    return ChatRequest(messages, tools, wanted or forced, as_json=wanted is not None, model=str(body.get("model", "")))


def completion(answer: Answer, model: str) -> dict[str, Any]:
    """Render a whole answer."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.calls
    ]
    message = {"role": "assistant", "content": answer.text or None, **({"tool_calls": calls} if calls else {})}
    choice = {"index": 0, "message": message, "finish_reason": answer.finish_reason, "logprobs": None}
    return {**_head(answer, model, "chat.completion"), "choices": [choice], "usage": _usage(answer.usage)}


def piece_event(piece: Piece, answer: Answer, model: str) -> bytes:
    """Render one piece of a streamed answer."""
    return event(_chunk(answer, model, _delta(piece)))


def end_events(answer: Answer, model: str, *, with_usage: bool) -> bytes:
    """Render what closes a stream: the reason, the usage if it was asked for, the mark."""
    closing = event(_chunk(answer, model, {}, answer.finish_reason))
    if with_usage:
        closing += event(
            {**_head(answer, model, "chat.completion.chunk"), "choices": [], "usage": _usage(answer.usage)}
        )
    return closing + b"data: [DONE]\n\n"


def event(data: Mapping[str, Any]) -> bytes:
    """Render one server-sent event."""
    return b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n"


def refusal(fault: Fault) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Render a fault that refuses the request: status, headers, body."""
    limited = fault.kind == "rate_limit"
    status, kind = (429, "rate_limit_error") if limited else (fault.status, "server_error")
    headers = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
    return status, headers, error(f"Scripted fault: {fault.kind}", kind, code=fault.kind)


def error(message: str, kind: str, *, code: str | None = None) -> dict[str, Any]:
    """Render OpenAI's error envelope."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _forced(choice: Any, tools: tuple[Shape, ...]) -> Shape | None:
    name = choice.get("function", {}).get("name") if isinstance(choice, Mapping) else None
    return next((tool for tool in tools if tool.name == name), None)


def _response_shape(wanted: Any) -> Shape | None:
    if not isinstance(wanted, Mapping):
        return None
    if wanted.get("type") == "json_object":
        return Shape("json_object")
    schema = wanted.get("json_schema")
    return Shape(str(schema.get("name", "answer")), schema.get("schema") or {}) if isinstance(schema, Mapping) else None


def _head(answer: Answer, model: str, kind: str) -> dict[str, Any]:
    return {"id": answer.id.replace("msg", "chatcmpl", 1), "object": kind, "created": 0, "model": model}


def _chunk(answer: Answer, model: str, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": reason, "logprobs": None}
    return {**_head(answer, model, "chat.completion.chunk"), "choices": [choice]}


def _delta(piece: Piece) -> dict[str, Any]:
    if piece.index is None:
        return {"role": "assistant", "content": piece.text}
    head = {"id": piece.id, "type": "function"} if piece.id else {}
    function = {"name": piece.name, "arguments": piece.args} if piece.name else {"arguments": piece.args}
    return {"role": "assistant", "tool_calls": [{"index": piece.index, **head, "function": function}]}


def _usage(usage: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.total_tokens,
    }
