"""OpenAI's requests, checked as far as the gateway relies on them; all else in them is the provider's to judge."""

from __future__ import annotations

import base64
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from ..core.errors import BadRequest
from .chat import Body

MAX_MESSAGES: Final = 10_000
MAX_TOOLS: Final = 1_024
MAX_CHOICES: Final = 128
MAX_INPUTS: Final = 2_048
BAD_INPUT: Final = f"`input` must be text, tokens, or a list of at most {MAX_INPUTS} of either; none may be empty."
_DEEPEST: Final = 200
"""Levels; what a body is sent on with gives up soon after."""
_LONGEST_NAME: Final = 256
_MOST_TOKENS: Final = 10_000_000
_ROLES: Final = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_SILENT: Final = frozenset({"assistant", "function"})
"""Who may say nothing."""
_INTEGERS: Final = {
    "n": (1, MAX_CHOICES),
    "max_tokens": (1, _MOST_TOKENS),
    "max_completion_tokens": (1, _MOST_TOKENS),
    "top_logprobs": (0, 100),
    "dimensions": (1, 100_000),
}
_NUMBERS: Final = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
_FORMS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "stream": bool,
    "logprobs": bool,
    "stream_options": dict,
    "response_format": dict,
    "metadata": dict,
    "tool_choice": (str, dict),
    "stop": (str, list),
    "tools": list,
}


def read_chat(raw: bytes) -> Body:
    """Read the body of a chat completion request.

    Raises:
        BadRequest: It is none; `extra["param"]` says where.
    """
    body = _read(raw)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _bad("`messages` must be a list of at least one message.", "messages")
    if len(messages) > MAX_MESSAGES:
        raise _bad(f"`messages` may hold at most {MAX_MESSAGES}.", "messages")
    for position, message in enumerate(messages):
        _check_message(message, position)
    for name, value in body.items():
        if value is not None:
            _check_option(name, value)
    if "tools" in body:
        _check_tools(body["tools"] or ())
    return body


def read_embedding(raw: bytes) -> Body:
    """Read the body of an embeddings request; errors as `read_chat`."""
    body = _read(raw)
    if not is_input(body.get("input")):
        raise _bad(BAD_INPUT, "input")
    if body.get("encoding_format") not in (None, "float", "base64"):
        raise _bad("`encoding_format` must be float or base64.", "encoding_format")
    if body.get("dimensions") is not None:
        _check_option("dimensions", body["dimensions"])
    return body


def is_input(given: Any) -> bool:
    """Whether something can be embedded: a text, tokens, or up to `MAX_INPUTS` of either, of one kind, none empty."""
    if isinstance(given, str):
        return bool(given)
    return isinstance(given, list) and 0 < len(given) <= MAX_INPUTS and _is_of_one_kind(given)


def in_base64(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Give an embeddings answer with its vectors as base64 of little-endian 32-bit floats."""
    return {**answer, "data": [{**one, "embedding": _packed(one["embedding"])} for one in answer["data"]]}


def _packed(vector: Sequence[float] | str) -> str:
    if isinstance(vector, str):
        return vector
    floats = array("f", vector)
    if sys.byteorder == "big":
        floats.byteswap()
    return base64.b64encode(floats.tobytes()).decode("ascii")


def _is_of_one_kind(given: list[Any]) -> bool:
    """Whether a list holds texts, or tokens, or lists of tokens; whichever, of one kind."""
    kinds = {type(one) for one in given}
    if kinds == {str}:
        return all(given)
    if kinds == {list}:
        return all(one and {type(token) for token in one} == {int} for one in given)
    return kinds == {int}


def _bad(text: str, param: str | None, code: str = "invalid_request") -> BadRequest:
    return BadRequest(text, code=code, param=param)


def _read(raw: bytes) -> Body:
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as exc:
        raise _bad("The body is not JSON.", None, "invalid_json") from exc
    if not isinstance(body, dict):
        raise _bad("The body must be a JSON object.", None, "invalid_json")
    _check_depth(body, raw)
    model = body.get("model")
    if not isinstance(model, str) or not 0 < len(model) <= _LONGEST_NAME or not model.isprintable():
        raise _bad("`model` must name a model.", "model")
    return body


def _check_depth(body: Body, raw: bytes) -> None:
    """Refuse what cannot be written again; only a body with many brackets can be so deep."""
    if raw.count(b"{") + raw.count(b"[") <= _DEEPEST:
        return
    level: list[Any] = [body]
    for _ in range(_DEEPEST):
        level = [
            inner
            for one in level
            for inner in (one.values() if type(one) is dict else one)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return
    raise _bad(f"The body is nested deeper than {_DEEPEST} levels.", None)


def _check_message(message: Any, position: int) -> None:
    if not isinstance(message, dict):
        raise _bad("A message must be an object.", f"messages[{position}]")
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in _ROLES:
        known = ", ".join(sorted(_ROLES))
        raise _bad(f"`role` must be one of {known}.", f"messages[{position}].role")
    if content is None:
        if role not in _SILENT:
            raise _bad("A message needs `content`.", f"messages[{position}].content")
    elif not isinstance(content, str) and not (isinstance(content, list) and all(map(_is_part, content))):
        raise _bad("`content` must be text or a list of parts.", f"messages[{position}].content")
    calls = message.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(map(_is_call, calls))):
        raise _bad("`tool_calls` must be a list of calls.", f"messages[{position}].tool_calls")


def _is_part(part: Any) -> bool:
    return isinstance(part, dict) and isinstance(part.get("type"), str)


def _is_call(call: Any) -> bool:
    return isinstance(call, dict) and (isinstance(call.get("function"), dict) or "custom" in call)


def _check_option(name: str, value: Any) -> None:
    if name in _INTEGERS:
        least, most = _INTEGERS[name]
        if type(value) is not int or not least <= value <= most:
            raise _bad(f"`{name}` must be a whole number from {least} to {most}.", name)
    elif name in _NUMBERS:
        if type(value) not in (int, float):
            raise _bad(f"`{name}` must be a number.", name)
    elif name in _FORMS and not isinstance(value, _FORMS[name]):
        raise _bad(f"`{name}` has the wrong form.", name)


def _check_tools(tools: Sequence[Any]) -> None:
    if len(tools) > MAX_TOOLS:
        raise _bad(f"`tools` may hold at most {MAX_TOOLS}.", "tools")
    for position, tool in enumerate(tools):
        if not isinstance(tool, dict) or not isinstance(tool.get("type"), str):
            raise _bad("A tool must be an object with a `type`.", f"tools[{position}]")
        if tool["type"] == "function" and not _is_function(tool.get("function")):
            raise _bad("A function needs a `name`.", f"tools[{position}].function")


def _is_function(function: Any) -> bool:
    return isinstance(function, dict) and isinstance(function.get("name"), str) and bool(function["name"])
