"""Contexts as graphs take them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from pydantic import BaseModel


def fitting(kind: Any, sent: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what a context's class has no field for: clients configure many graphs alike."""
    names = _names(kind)
    return {name: value for name, value in sent.items() if names is None or name in names}


def _names(kind: Any) -> Collection[str] | None:
    """The names that a class takes; None if it takes any, or passes over what it does not know."""
    if not isinstance(kind, type):
        return None
    if is_dataclass(kind):
        return {field.name for field in fields(kind) if field.init}
    if not issubclass(kind, BaseModel) or kind.model_config.get("extra") != "forbid":
        return None
    aliases = [field.validation_alias for field in kind.model_fields.values()]
    if any(alias is not None and not isinstance(alias, str) for alias in aliases):
        return None  # paths and choices: pydantic knows best
    return {*kind.model_fields, *(str(alias) for alias in aliases if alias is not None)}
