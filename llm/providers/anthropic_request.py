"""An OpenAI request as Anthropic's Messages API wants it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ..catalog import Model
from ..chat import Body, CompletionRequest
from .conversation import (
    GEMINI_SEAL,
    REDACTED,
    Message,
    Thought,
    arguments_of,
    in_turns,
    media_of,
    parts_of,
    plain_id,
    schema_of,
    single,
    text_of,
    thoughts_of,
    without,
)

Block = dict[str, Any]
JSON_TOOL: Final = "json"
"""The tool that models are made to call which cannot be held to a schema otherwise."""
_VERSION: Final = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2})(?!\d))?")
_NEWEST: Final = (99, 0)
_BREAKPOINTS: Final = 4
_BUDGETS: Final = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
_EFFORTS: Final = {"minimal": "low"}
_NOT_IN_SCHEMAS: Final = (
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength", "maxLength",
    "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "title", "default", "$schema",
)  # fmt: skip
_AS_THEY_ARE: Final = ("top_k", "thinking", "service_tier", "metadata", "container", "inference_geo", "speed")
_SAMPLING: Final = ("temperature", "top_p", "top_k")
_CACHED: Final = {"type": "ephemeral"}


def messages_body(model: Model, request: CompletionRequest) -> Body:
    """Make the body of `POST /messages`.

    Raises:
        Rejected: Something is asked that this API does not have.
    """
    asked = request.body
    single(asked, "Anthropic")
    version = version_of(model.upstream)
    body: Body = {
        "model": model.upstream,
        "max_tokens": asked.get("max_completion_tokens") or asked.get("max_tokens") or model.max_output,
        "messages": _messages(asked["messages"]),
    }
    if system := list(_system(asked["messages"])):
        body["system"] = system
    if request.streamed:
        body["stream"] = True
    body |= {name: asked[name] for name in (*_AS_THEY_ARE, "temperature", "top_p") if asked.get(name) is not None}
    if body.get("service_tier") not in {"auto", "standard_only"}:
        body.pop("service_tier", None)
    if isinstance(asked.get("metadata"), dict) or asked.get("user"):  # OpenAI's metadata is for OpenAI
        body["metadata"] = {"user_id": str(asked.get("user") or asked["metadata"].get("user_id") or "")}
    if stop := asked.get("stop"):
        body["stop_sequences"] = [word for word in ([stop] if isinstance(stop, str) else stop) if word.strip()]
    _tools(asked, body)
    _format(asked, body, version)
    _thinking(asked, body, version)
    if version > (4, 6) or "thinking" in body:
        for name in _SAMPLING:  # models of today choose by themselves, and refuse to be told
            body.pop(name, None)
    _breakpoints(request, body)
    return body


def version_of(upstream: str) -> tuple[int, int]:
    """Read a model's version from its name; what has none is the newest."""
    found = _VERSION.search(upstream)
    return (int(found[1]), int(found[2] or 0)) if found else _NEWEST


def forced_json(model: Model, asked: Mapping[str, Any]) -> bool:
    """Whether the answer comes as a call of `JSON_TOOL`."""
    wanted = schema_of(asked)
    return wanted is not None and wanted[0] == "json_schema" and version_of(model.upstream) < (4, 5)


def _system(messages: list[Message]) -> Iterator[Block]:
    for message in messages:
        if message.get("role") not in {"system", "developer"}:
            return
        yield from (_marked({"type": "text", "text": part["text"]}, part) for part in parts_of(message))


def _turns(messages: list[Message]) -> Iterator[tuple[str, list[Block]]]:
    """Give who said what; a system message amid the conversation is told as the user's."""
    begun = False
    for message in messages:
        role = message.get("role")
        if role in {"system", "developer"}:
            if begun:
                yield "user", [{"type": "text", "text": text_of(message)}]
            continue
        begun = True
        if role == "assistant":
            yield "assistant", _said(message)
        elif role in {"tool", "function"}:
            yield "user", [_result(message)]
        else:
            yield "user", [_block(part) for part in parts_of(message)]


def _messages(messages: list[Message]) -> list[Block]:
    """Write a conversation; an answer that is to be gone on with may not end in a blank."""
    written: list[Block] = [{"role": role, "content": blocks} for role, blocks in in_turns(_turns(messages))]
    last: Block = written[-1]["content"][-1] if written and written[-1]["role"] == "assistant" else {}
    if last.get("type") == "text":
        last["text"] = last["text"].rstrip() or "…"
    return written


def _said(message: Message) -> list[Block]:
    blocks = [_thought(thought) for thought in thoughts_of(message) if not thought.seal.startswith(GEMINI_SEAL)]
    if (text := text_of(message)).strip():
        blocks.append({"type": "text", "text": text})
    for call in message.get("tool_calls") or ():
        name = (call.get("function") or {}).get("name", "")
        use = {"type": "tool_use", "id": plain_id(call.get("id") or ""), "name": name, "input": arguments_of(call)}
        blocks.append(use)
    return blocks


def _thought(thought: Thought) -> Block:
    if thought.seal.startswith(REDACTED):
        return {"type": "redacted_thinking", "data": thought.seal.removeprefix(REDACTED)}
    return {"type": "thinking", "thinking": thought.text, "signature": thought.seal}


def _result(message: Message) -> Block:
    content: Any = message.get("content")
    if not isinstance(content, str):
        content = [_block(part) for part in parts_of(message)]
    used = plain_id(message.get("tool_call_id") or message.get("name") or "")
    return _marked({"type": "tool_result", "tool_use_id": used, "content": content}, message)


def _block(part: Mapping[str, Any]) -> Block:
    media = media_of(part)
    if media is None:
        return _marked({"type": "text", "text": part["text"]}, part) if "text" in part else dict(part)
    kind = "document" if part.get("type") == "file" else "image"
    if media.url:
        return _marked({"type": kind, "source": {"type": "url", "url": media.url}}, part)
    source = {"type": "base64", "media_type": media.mime, "data": media.data}
    return _marked({"type": kind, "source": source}, part)


def _marked(block: Block, given: Mapping[str, Any]) -> Block:
    """Keep a cache breakpoint that the client set by itself."""
    if mark := given.get("cache_control"):
        block["cache_control"] = mark
    return block


def _tools(asked: Body, body: Body) -> None:
    tools = [_tool(tool) for tool in asked.get("tools") or ()]
    if not tools:
        return
    body["tools"] = tools
    choice, alone = asked.get("tool_choice"), asked.get("parallel_tool_calls") is False
    if isinstance(choice, dict):
        made: Block = {"type": "tool", "name": (choice.get("function") or choice)["name"]}
    else:
        made = {"type": {"none": "none", "required": "any"}.get(str(choice), "auto")}
    if alone and made["type"] != "none":
        made["disable_parallel_tool_use"] = True
    if choice is not None or alone:
        body["tool_choice"] = made


def _tool(tool: Mapping[str, Any]) -> Block:
    if tool.get("type") != "function":
        return dict(tool)  # one of Anthropic's own
    function = tool["function"]
    made = {
        "name": function["name"],
        "input_schema": function.get("parameters") or {"type": "object", "properties": {}},
    }
    if function.get("description"):
        made["description"] = function["description"]
    return _marked(made, tool)


def _format(asked: Body, body: Body, version: tuple[int, int]) -> None:
    wanted = schema_of(asked)
    if wanted is None:
        return
    kind, schema = wanted
    if kind == "json_object":
        order = {"type": "text", "text": "Answer with one JSON object and nothing else."}
        body["system"] = [*body.get("system", ()), order]
    elif version >= (4, 5):
        closed = without(schema, _NOT_IN_SCHEMAS, closed=True)
        body["output_config"] = {"format": {"type": "json_schema", "schema": closed}}
    else:
        body["tools"] = [*body.get("tools", ()), {"name": JSON_TOOL, "input_schema": schema}]
        body["tool_choice"] = {"type": "tool", "name": JSON_TOOL}


def _thinking(asked: Body, body: Body, version: tuple[int, int]) -> None:
    effort = asked.get("reasoning_effort")
    forced = body.get("tool_choice", {}).get("type") in {"any", "tool"}
    if effort in {None, "none"} or forced or "thinking" in body:
        return
    if version >= (4, 6):
        body["thinking"] = {"type": "adaptive", "display": "summarized"}
        body["output_config"] = {**body.get("output_config", {}), "effort": _EFFORTS.get(effort, effort)}
    elif version >= (3, 7) and not _thoughtless(body["messages"]):
        budget = min(_BUDGETS.get(effort, _BUDGETS["medium"]), body["max_tokens"] // 2)
        if budget >= _BUDGETS["minimal"]:
            body["thinking"] = {"type": "enabled", "budget_tokens": budget}


def _thoughtless(messages: list[Block]) -> bool:
    """Whether the turn goes on from calls that were made without a thought: older models refuse to begin then."""
    said: list[Block] = next(
        (message["content"] for message in reversed(messages) if message["role"] == "assistant"), []
    )
    calls = any(block["type"] == "tool_use" for block in said)
    return calls and said[0]["type"] not in {"thinking", "redacted_thinking"}


def _breakpoints(request: CompletionRequest, body: Body) -> None:
    """Mark what the next request will begin with: the tools, the system prompt, the last two turns of the user.

    A client that marks by itself is left alone; of a question that nobody will go on from only the head is kept.
    """
    heads = [body[part][-1] for part in ("tools", "system") if body.get(part)]
    caller = request.caller
    goes_on = bool(caller.session or caller.thread_id or caller.agent)
    messages = body["messages"]
    users = [message["content"][-1] for message in messages if message["role"] == "user"]
    tails = users[-2:] if goes_on or len(messages) > 1 else []
    if _has_marks(body):
        return
    for block in [*heads, *tails][:_BREAKPOINTS]:
        block["cache_control"] = dict(_CACHED)


def _has_marks(body: Body) -> bool:
    blocks = [*body.get("tools", ()), *body.get("system", ())]
    blocks += [block for message in body["messages"] for block in message["content"]]
    return any("cache_control" in block for block in blocks)
