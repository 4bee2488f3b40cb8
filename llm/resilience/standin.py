"""The last rung before a refusal: a text that says that no model could be reached, made by no model."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from typing import Any, Final

from ..chat import CompletionRequest, Outcome
from ..events import Batch, Finish, Text, Used
from ..usage import Usage

NAME: Final = "offline"
_RUSSIAN: Final = re.compile("[а-яё]", re.IGNORECASE)
_TEXTS: Final = {
    "en": (
        "[offline] No model could be reached, so this text was written by CodeLab itself and not by a model. "
        "Your request was not worked on. Please send it again in a few minutes."
    ),
    "ru": (
        "[offline] Ни одна модель сейчас не отвечает, поэтому этот текст написал сам CodeLab, а не модель. "
        "Запрос не обработан. Отправьте его, пожалуйста, ещё раз через несколько минут."
    ),
}


def can_stand_in(request: CompletionRequest) -> bool:
    """Whether a text would do: not where a shape, a tool call or one certain model is demanded."""
    body = request.body
    shaped = (body.get("response_format") or {}).get("type", "text") != "text"
    forced = body.get("tool_choice") not in (None, "auto", "none")
    return request.controls.fallback and not shaped and not forced


async def stand_in(request: CompletionRequest, outcome: Outcome) -> AsyncGenerator[Batch, None]:
    """Yield the text as one batch, in Russian to whoever wrote in it last; it costs nothing."""
    outcome.provider = outcome.model = NAME
    outcome.degraded = "offline"
    text = _TEXTS["ru" if _RUSSIAN.search(last_words(request)) else "en"]
    yield Batch([Text(text), Finish("stop"), Used(Usage(), {})])


def last_words(request: CompletionRequest) -> str:
    """What the person said last."""
    spoken = [message for message in request.body["messages"] if message.get("role") == "user"]
    return plain(spoken[-1].get("content")) if spoken else ""


def plain(content: Any) -> str:
    """Join the texts of a message's content."""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text") or "" for part in content or () if isinstance(part, dict))
