"""LangChain's messages as OpenAI's dialect has them, and an answer's events as LangChain's chunks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage, convert_to_openai_messages
from langchain_core.messages.tool import tool_call_chunk

from .events import Event, Extra, Finish, Reasoning, Refusal, Text, ToolCall, Used

_ROLES: Final = {"human": "user", "system": "system"}
REASONING: Final = "reasoning_content"
SIGNATURE: Final = "reasoning_signature"
CALL_SIGNATURES: Final = "tool_call_signatures"


def to_dialect(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Write messages as OpenAI's `messages`; reasoning and its signature travel along for who wants them back."""
    return [_message(message) for message in messages]


def _message(message: BaseMessage) -> dict[str, Any]:
    if isinstance(message, AIMessage):
        return _answer(message)
    content = message.content if isinstance(message.content, str) else _blocks(message)
    if isinstance(message, ToolMessage):
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}
    if message.type in _ROLES:
        return {"role": _ROLES[message.type], "content": content}
    return _converted(message)


def _answer(message: AIMessage) -> dict[str, Any]:
    said: dict[str, Any] = {"role": "assistant", "content": message.text or None}
    sealed: Mapping[str, str] = message.additional_kwargs.get(CALL_SIGNATURES) or {}
    calls = [
        _call(call["id"], call["name"], json.dumps(call["args"], ensure_ascii=False)) for call in message.tool_calls
    ]
    calls += [_call(call["id"], call["name"] or "", call["args"] or "{}") for call in message.invalid_tool_calls]
    if calls:
        said["tool_calls"] = [call | _sealed(sealed.get(call["id"])) for call in calls]
    for name in (REASONING, SIGNATURE):
        if value := message.additional_kwargs.get(name):
            said[name] = value
    return said


def _call(call_id: str | None, name: str, arguments: str) -> dict[str, Any]:
    return {"id": call_id or "", "type": "function", "function": {"name": name, "arguments": arguments}}


def _sealed(signature: str | None) -> dict[str, str]:
    return {"signature": signature} if signature else {}


def _blocks(message: BaseMessage) -> Any:
    """Content in blocks (pictures, mostly), as OpenAI writes them."""
    return _converted(message)["content"]


def _converted(message: BaseMessage) -> dict[str, Any]:
    converted: Any = convert_to_openai_messages([message])
    only: dict[str, Any] = converted[0]
    return only


def to_chunk(event: Event, message_id: str) -> AIMessageChunk | None:
    """Write one event as a chunk; None for what LangChain has no place for."""
    match event:
        case Text(text=text) | Refusal(text=text):
            return AIMessageChunk(content=text, id=message_id)
        case Reasoning(text=text, signature=signature):
            thought = {REASONING: text} if text else {}
            return AIMessageChunk(
                content="", id=message_id, additional_kwargs=thought | ({SIGNATURE: signature} if signature else {})
            )
        case ToolCall():
            return _call_chunk(event, message_id)
        case Used(usage=usage):
            return AIMessageChunk(content="", id=message_id, usage_metadata=usage.metadata())
        case Finish() | Extra():
            return None


def _call_chunk(event: ToolCall, message_id: str) -> AIMessageChunk:
    call = tool_call_chunk(name=event.name or None, args=event.arguments, id=event.id or None, index=event.index)
    sealed = {CALL_SIGNATURES: {event.id: event.signature}} if event.signature and event.id else {}
    return AIMessageChunk(content="", id=message_id, tool_call_chunks=[call], additional_kwargs=sealed)
