"""Anything as JSON data: what goes into the log must survive without the code that made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from typing import Any, Final

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from ...store.texts import dump_json

_NUL: Final = "\\u0000"


def plain(value: Any) -> Any:
    """Turn a value into JSON data; what has no such form becomes its text."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value.value if isinstance(value, Enum) else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _object(value)


def plain_text(value: Any) -> str:
    """Turn a value into the JSON text that `dump_json` makes of its `plain` form: a model in one go."""
    if isinstance(value, BaseModel):
        try:
            text = value.model_dump_json(ensure_ascii=True)
        except PydanticSerializationError:  # half a character, or what has no such form
            return dump_json(plain(value))
        if _NUL not in text:
            return text
    return dump_json(plain(value))


def _object(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Enum):
        return plain(value.value)
    return str(value)
