"""Text that both databases accept: PostgreSQL refuses NUL and lone surrogates, in text and in JSONB."""

from __future__ import annotations

import json
from typing import Any

_SUSPECT = ("\\u0000", "\\ud")


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
    return value


def dump_json(value: Any) -> str:
    """Serialise JSON for storage; the slow way only where something suspect stands in it."""
    text = json.dumps(value, separators=(",", ":"), default=str)
    if any(mark in text for mark in _SUSPECT):
        return json.dumps(_clean(json.loads(text)), separators=(",", ":"))
    return text
