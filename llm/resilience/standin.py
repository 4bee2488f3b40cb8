"""The last rung before a refusal: a text that says that no model could be reached, made by no model."""

from __future__ import annotations

import re
from typing import Final

from ...core.errors import CodeLabError
from ..chat import CompletionRequest
from ..errors import Rejected
from ..events import Finish, Text, Used
from ..said import turns
from ..seams import Hit
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


def can_stand_in(request: CompletionRequest, error: CodeLabError) -> bool:
    """Whether a text would do: no model is to blame, or a shape, a tool call or one model is wanted: not then."""
    body = request.body
    shaped = (body.get("response_format") or {}).get("type", "text") != "text"
    forced = body.get("tool_choice") not in (None, "auto", "none")
    honest = not isinstance(error, Rejected) and error.code != "shed"
    return honest and request.controls.fallback and not (shaped or forced)


def stand_in(request: CompletionRequest) -> Hit:
    """Make the text, in Russian for whoever wrote in it last; it costs nothing."""
    text = _TEXTS["ru" if _RUSSIAN.search("".join(turns(request.body)[-1:])) else "en"]
    return Hit(batches=[[Text(text), Finish("stop"), Used(Usage(), {})]], outcome="bypass", model=NAME)
