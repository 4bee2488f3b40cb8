"""Which requests are questions that another wording of may answer, and among which others."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from ..chat import CompletionRequest
from .keys import digest, relevant

if TYPE_CHECKING:
    from .index import Vector

LONGEST: Final = 2_000
_CODE: Final = re.compile(
    r"```|~~~|^\s*(?:def|class|import|from|function|const|let|var|public|private|#include|package|SELECT)\b.*[:;({]?\s*$"
    r"|[;{}]\s*$|^\s{4,}\S|^diff --git|^@@ |^Traceback \(most recent",
    re.MULTILINE,
)


class Question:
    """The wording, the walls around it (`partition`: whose, which model, which context), and its vector once known."""

    __slots__ = ("partition", "text", "vector")

    def __init__(self, text: str, partition: bytes) -> None:
        self.text = text
        self.partition = partition
        self.vector: Vector | None = None


def question_of(request: CompletionRequest, identity: Sequence[Any]) -> Question | None:
    """Read the question off a request.

    Requests with tools, tool results, several turns or code are left alone unless the client asks for it
    (`semantic`): in those a word more or less means something else.
    """
    wish, body = request.controls.semantic, request.body
    messages: list[dict[str, Any]] = body.get("messages") or []
    text = _asked(messages) if messages and wish is not False else None
    if text is None or not (wish or _is_plain(body, messages, text)) or (body.get("n") or 1) != 1:
        return None
    rest = {**relevant(body), "messages": [*messages[:-1], {**messages[-1], "content": None}]}
    try:
        return Question(text, digest(request.caller.tenant_id, ["question", *identity, rest]))
    except TypeError:
        return None


def has_code(text: str) -> bool:
    """Whether a text holds code, a patch or a stack trace."""
    return _CODE.search(text) is not None


def _asked(messages: Sequence[Mapping[str, Any]]) -> str | None:
    """Give the text that a person said last; None if that is not all there is."""
    last = messages[-1]
    content = last.get("content")
    if isinstance(content, list) and len(content) == 1 and content[0].get("type") == "text":
        content = content[0].get("text")
    if last.get("role") != "user" or not isinstance(content, str) or not 0 < len(content.strip()) <= LONGEST:
        return None
    return content


def _is_plain(body: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], text: str) -> bool:
    roles = [message.get("role") for message in messages]
    context = [message.get("content") for message in messages[:-1]]
    return (
        not (body.get("tools") or body.get("functions"))
        and set(roles[:-1]) <= {"system", "developer"}
        and not has_code(text)
        and not any(has_code(part) for part in context if isinstance(part, str))
    )
