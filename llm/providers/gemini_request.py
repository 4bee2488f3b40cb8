"""An OpenAI request as Gemini's `generateContent` wants it."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from ..catalog import Model
from ..chat import Body, CompletionRequest
from .conversation import (
    GEMINI_SEAL,
    Message,
    arguments_of,
    in_turns,
    media_of,
    parts_of,
    schema_of,
    seal_of,
    text_of,
    thoughts_of,
    without,
)

Part = dict[str, Any]
_VERSION: Final = re.compile(r"gemini-(\d+)")
_NEWEST: Final = 99
_BUDGETS: Final = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
_LEVELS: Final = {"none": "minimal", "xhigh": "high", "max": "high"}
_NO_SEAL: Final = "skip_thought_signature_validator"
"""What Google wants in place of the seal of a call that another model made."""
_CONFIG: Final = {
    "temperature": "temperature",
    "top_p": "topP",
    "top_k": "topK",
    "seed": "seed",
    "n": "candidateCount",
    "presence_penalty": "presencePenalty",
    "frequency_penalty": "frequencyPenalty",
    "max_tokens": "maxOutputTokens",
    "max_completion_tokens": "maxOutputTokens",
}
_AS_THEY_ARE: Final = ("safetySettings", "cachedContent")


def generate_body(model: Model, request: CompletionRequest) -> Body:
    """Make the body of `:generateContent`.

    Raises:
        Rejected: Something is asked that this API does not have.
    """
    asked, version = request.body, version_of(model.upstream)
    turns = in_turns(_turns(asked["messages"], signs=version >= 3))  # noqa: PLR2004 - Gemini 3
    body: Body = {"contents": [{"role": role, "parts": parts} for role, parts in turns]}
    if system := [{"text": text} for text in _system(asked["messages"]) if text]:
        body["systemInstruction"] = {"parts": system}
    _tools(asked, body)
    config = {theirs: asked[ours] for ours, theirs in _CONFIG.items() if asked.get(ours) is not None}
    if stop := asked.get("stop"):
        config["stopSequences"] = [stop] if isinstance(stop, str) else stop
    if wanted := schema_of(asked):
        config["responseMimeType"] = "application/json"
        if wanted[1]:
            config["responseJsonSchema"] = without(wanted[1], ("$schema",))
    if asked.get("logprobs"):
        config |= {"responseLogprobs": True, "logprobs": asked.get("top_logprobs") or 1}
    if thinking := _thinking(asked.get("reasoning_effort"), version):
        config["thinkingConfig"] = thinking
    if config:
        body["generationConfig"] = config
    return body | {name: asked[name] for name in _AS_THEY_ARE if name in asked}


def version_of(upstream: str) -> int:
    """Read a model's generation from its name; what has none is the newest."""
    found = _VERSION.search(upstream)
    return int(found[1]) if found else _NEWEST


def _system(messages: list[Message]) -> Iterator[str]:
    for message in messages:
        if message.get("role") not in {"system", "developer"}:
            return
        yield text_of(message)


def _turns(messages: list[Message], *, signs: bool) -> Iterator[tuple[str, list[Part]]]:
    names: dict[str, str] = {}
    begun = False
    for message in messages:
        role = message.get("role")
        if role in {"system", "developer"}:
            if begun:
                yield "user", [{"text": text_of(message)}]
            continue
        begun = True
        if role == "assistant":
            calls = message.get("tool_calls") or ()
            names |= {call.get("id") or "": (call.get("function") or {}).get("name", "") for call in calls}
            yield "model", _said(message, signs=signs)
        elif role in {"tool", "function"}:
            yield "user", _result(message, names)
        else:
            yield "user", [_part(part) for part in parts_of(message)]


def _said(message: Message, *, signs: bool) -> list[Part]:
    """Give what a model said; its seals stand where they stood, and one that is missing is excused."""
    parts: list[Part] = []
    seals = [seal for _, seal in thoughts_of(message) if seal.startswith(GEMINI_SEAL)]
    if text := text_of(message):
        parts.append({"text": text})
        if seals:
            parts[0]["thoughtSignature"] = seals[0].removeprefix(GEMINI_SEAL)
    for position, call in enumerate(message.get("tool_calls") or ()):
        function = {"name": (call.get("function") or {}).get("name", ""), "args": arguments_of(call)}
        if call.get("id"):
            function["id"] = call["id"]
        part: Part = {"functionCall": function}
        seal = seal_of(call)
        if seal or (signs and position == 0):
            part["thoughtSignature"] = seal or _NO_SEAL
        parts.append(part)
    return parts


def _result(message: Message, names: Mapping[str, str]) -> list[Part]:
    call_id = message.get("tool_call_id") or ""
    name = names.get(call_id) or message.get("name") or "unknown"
    response: Part = {"name": name, "response": _as_object(text_of(message))}
    if call_id:
        response["id"] = call_id
    pictures = [_part(part) for part in parts_of(message) if part.get("type") != "text"]
    return [{"functionResponse": response}, *pictures]


def _as_object(text: str) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    return found if isinstance(found, dict) else {"result": text}


def _part(part: Mapping[str, Any]) -> Part:
    media = media_of(part)
    if media is None:
        return {"text": part["text"]} if "text" in part else dict(part)
    if media.url:
        kind = mimetypes.guess_type(media.url.partition("?")[0])[0] or "image/jpeg"
        return {"fileData": {"mimeType": kind, "fileUri": media.url}}
    return {"inlineData": {"mimeType": media.mime, "data": media.data}}


def _tools(asked: Body, body: Body) -> None:
    declared, own = [], []
    for tool in asked.get("tools") or ():
        if tool.get("type") != "function":
            own.append({key: value for key, value in tool.items() if key != "type"})  # one of Google's
            continue
        function = tool["function"]
        made = {"name": function["name"], "description": function.get("description") or ""}
        if (function.get("parameters") or {}).get("properties"):
            made["parametersJsonSchema"] = without(function["parameters"], ("$schema",))
        declared.append(made)
    tools = [{"functionDeclarations": declared}, *own] if declared else own
    if not tools:
        return
    body["tools"] = tools
    choice = asked.get("tool_choice")
    if isinstance(choice, dict):
        name = (choice.get("function") or choice)["name"]
        body["toolConfig"] = {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [name]}}
    elif mode := {"none": "NONE", "required": "ANY"}.get(str(choice)):
        body["toolConfig"] = {"functionCallingConfig": {"mode": mode}}


def _thinking(effort: str | None, version: int) -> Part | None:
    if effort is None:
        return None
    told: Part = {} if effort == "none" else {"includeThoughts": True}
    if version >= 3:  # noqa: PLR2004 - levels came with Gemini 3
        return told | {"thinkingLevel": _LEVELS.get(effort, effort)}
    return told | {"thinkingBudget": _BUDGETS.get(effort, _BUDGETS["high"])}
