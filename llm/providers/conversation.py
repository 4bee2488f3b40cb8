"""What the adapters of other dialects read in an OpenAI request: parts of messages, calls, sealed thoughts, schemas."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, NamedTuple

import orjson

from ..catalog import Model
from ..chat import Body, CompletionRequest
from ..errors import Rejected

Message = Mapping[str, Any]
Part = dict[str, Any]
_DATA_URL: Final = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(?:;[\w=.+-]+)*?;base64,", re.IGNORECASE)
_ODD: Final = re.compile(r"[^a-zA-Z0-9_-]")
GEMINI_SEAL: Final = "gemini:"
"""What a Gemini model's seal begins with on our side, so that nobody else is sent it."""
REDACTED: Final = "redacted:"
"""What stands before thoughts that Anthropic gives only encrypted."""


class Media(NamedTuple):
    """A picture or a file: its data in base64 with its type, or the address where it is."""

    mime: str = ""
    data: str = ""
    url: str = ""


class Thought(NamedTuple):
    """What a model thought, and its provider's seal on it."""

    text: str
    seal: str


def translated(make: Callable[[Model, CompletionRequest], Body], model: Model, request: CompletionRequest) -> Body:
    """Make a provider's request of the client's.

    Raises:
        Rejected: The client's has a form that OpenAI's API does not know either.
    """
    try:
        return make(model, request)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise Rejected(f"The request has a part of a strange form ({type(exc).__name__}: {exc})."[:200]) from exc


def dumped(body: Body) -> bytes:
    """Write a request; `Rejected` if it has what JSON has not (half a character, endless numbers)."""
    try:
        return orjson.dumps(body)
    except TypeError as exc:
        raise Rejected(f"The request cannot be written as JSON: {exc}."[:200]) from exc


def in_turns(said: Iterable[tuple[str, list[Part]]]) -> Iterator[tuple[str, list[Part]]]:
    """Join what one side said in a row: results of parallel calls belong into one message.

    Who said nothing is left out.
    """
    for role, run in groupby(said, key=itemgetter(0)):
        if parts := [part for _, some in run for part in some]:
            yield role, parts


def parts_of(message: Message) -> list[Mapping[str, Any]]:
    """Give a message's content as parts; text that is empty is left out."""
    content = message.get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if content is None:
        return []
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise Rejected("A message's content must be a text or a list of parts.", param="messages")
    return [part for part in content if part.get("type") != "text" or part.get("text")]


def text_of(message: Message) -> str:
    """Give the text of a message, refusals included."""
    said = [part.get("text") or part.get("refusal") or "" for part in parts_of(message)]
    return "".join(said) or message.get("refusal") or ""


def media_of(part: Mapping[str, Any]) -> Media | None:
    """Read a picture (`image_url`) or a file (`file`); None if the part is neither.

    Raises:
        Rejected: It is a file that was uploaded elsewhere.
    """
    kind = part.get("type")
    if kind == "image_url":
        given = part.get("image_url")
        return read_url(given.get("url", "") if isinstance(given, dict) else str(given))
    if kind == "file":
        file = part.get("file") or {}
        if not file.get("file_data"):
            raise Rejected("This model takes files only with their data (`file_data`).", param="messages")
        return read_url(file["file_data"])
    return None


def read_url(url: str) -> Media:
    """Read a data URL, or take the address for what it is."""
    found = _DATA_URL.match(url)
    if found is None:
        return Media(url=url)
    return Media(mime=found[1] or "application/octet-stream", data=url[found.end() :])


def arguments_of(call: Mapping[str, Any]) -> dict[str, Any]:
    """Give a call's arguments as an object; what is no JSON object is kept as text, for the model to see."""
    raw = (call.get("function") or {}).get("arguments") or "{}"
    if isinstance(raw, dict):
        return raw
    try:
        found = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return {"arguments": raw}
    return found if isinstance(found, dict) else {"arguments": raw}


def thoughts_of(message: Message) -> list[Thought]:
    """Give what a model thought, with its seals; thoughts without a seal are of no use to anybody."""
    details = message.get("reasoning_details")
    if isinstance(details, list) and details:
        found = [Thought(one.get("text") or "", one.get("signature") or one.get("data") or "") for one in details]
    else:
        found = [Thought(message.get("reasoning_content") or "", message.get("reasoning_signature") or "")]
    return [thought for thought in found if thought.seal]


def seal_of(call: Mapping[str, Any]) -> str:
    """Give the seal that Gemini set on a call: in Google's own form, or in ours."""
    google = (call.get("extra_content") or {}).get("google") or {}
    return str(google.get("thought_signature") or call.get("signature") or "")


def plain_id(call_id: str) -> str:
    """Bring a call's id into the letters that every provider takes."""
    return _ODD.sub("_", call_id)[:64] or "call"


def single(body: Mapping[str, Any], provider: str) -> None:
    """Refuse a request for several answers, where the provider gives one."""
    if (body.get("n") or 1) > 1:
        raise Rejected(f"{provider} gives one answer at a time: leave `n` out.", code="unsupported_value", param="n")


def schema_of(body: Mapping[str, Any]) -> tuple[str, dict[str, Any]] | None:
    """Give the kind of `response_format` (`json_schema` or `json_object`) with its schema; None for text."""
    wanted = body.get("response_format")
    if not isinstance(wanted, dict) or wanted.get("type") not in {"json_schema", "json_object"}:
        return None
    return wanted["type"], (wanted.get("json_schema") or {}).get("schema") or {}


def without(schema: Any, words: Iterable[str], *, closed: bool = False) -> Any:
    """Copy a JSON schema without some of its keywords; `closed` forbids properties that it does not name."""
    words = frozenset(words)
    if isinstance(schema, list):
        return [without(one, words, closed=closed) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {
        key: _named(value, words, closed=closed)
        if key in {"properties", "$defs", "definitions"}
        else value
        if key in {"enum", "const", "default", "required", "examples"}
        else without(value, words, closed=closed)
        for key, value in schema.items()
        if key not in words
    }
    if closed and (made.get("type") == "object" or "properties" in made):
        made["additionalProperties"] = False
    return made


def _named(schemas: Any, words: frozenset[str], *, closed: bool) -> Any:
    """Copy schemas that stand under names: a property may be called as a keyword is."""
    if not isinstance(schemas, dict):
        return schemas
    return {name: without(schema, words, closed=closed) for name, schema in schemas.items()}
