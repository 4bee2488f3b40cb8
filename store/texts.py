"""Text that both databases and every reader of JSON accept: no NUL, no lone surrogate, no number that is none."""

from __future__ import annotations

import json
import math
from typing import Any, Final

import orjson

_AS_JSON: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
_SUSPECT: Final = ("\\u0000", "\\ud", "NaN", "Infinity")


def clean_text(value: str) -> str:
    """Replace NUL and lone surrogates by U+FFFD."""
    whole = value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return whole.replace("\x00", "\ufffd")


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, dict):
        return {clean_text(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def dump_json(value: Any, *, escaped: bool = True) -> str:
    """Serialise JSON; the slow way only where something suspect stands in it.

    Args:
        value: What to serialise; what JSON does not know becomes its text.
        escaped: Write letters beyond ASCII as escapes.
    """
    text = _quickly(value)
    if text is None or (escaped and not text.isascii()):
        text = json.dumps(value, separators=(",", ":"), default=str, ensure_ascii=escaped)
    if is_suspect(text) or not (escaped or _encodes(text)):
        return json.dumps(_clean(json.loads(text)), separators=(",", ":"), ensure_ascii=escaped)
    return text


def _quickly(value: Any) -> str | None:
    """Serialise with orjson, which says what the standard library says; None where it refuses."""
    try:
        return orjson.dumps(value, _foreign, _AS_JSON).decode()
    except TypeError:  # a key that is no text, half of a character, a number beyond 64 bits
        return None


def _foreign(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else str(value)


def is_suspect(text: str) -> bool:
    """Whether JSON text may hold what a database or a reader refuses; often it does not, and is looked into."""
    nul, half, nan, infinity = _SUSPECT
    return nul in text or half in text or nan in text or infinity in text


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
