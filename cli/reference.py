"""The reference of settings, read from their own declaration."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ..core.settings import Settings
from .ending import DONE
from .terminal import clean

HIDDEN = "********"


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting: its variable, default, what it is for, and the value in force."""

    name: str
    default: str
    description: str
    value: str


def entries(settings: Settings) -> list[Entry]:
    """List every setting in the order of its declaration."""
    return list(_walk(settings, "CODELAB_"))


def _walk(group: BaseModel, prefix: str) -> Iterator[Entry]:
    for name, field in type(group).model_fields.items():
        value = getattr(group, name)
        variable = f"{prefix}{name.upper()}"
        if isinstance(value, BaseModel):
            yield from _walk(value, f"{variable}__")
        else:
            default = _text(field.get_default(call_default_factory=True, validated_data={}))
            yield Entry(variable, default, _description(group, field), _text(value))


def _description(group: BaseModel, field: FieldInfo) -> str:
    return field.description or (type(group).__doc__ or "").strip().splitlines()[0]


def _text(value: Any) -> str:
    """A value as it would be set; secrets and passwords in URLs are not told."""
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, list):
        return json.dumps([str(item) for item in value])
    text = str(value)
    if "://" in text and "@" in text:
        try:
            return make_url(text).render_as_string(hide_password=True)
        except ArgumentError:
            return HIDDEN
    return text


async def print_reference(*, as_json: bool) -> int:
    """`codelab config`."""
    found = entries(Settings())
    if as_json:
        typer.echo(json.dumps([asdict(entry) for entry in found], ensure_ascii=False, indent=2))
        return DONE
    width = max(len(entry.name) for entry in found)
    for entry in found:
        changed = entry.value != entry.default
        shown = f"{entry.value}  (default: {entry.default or '-'})" if changed else entry.default or "-"
        typer.echo(clean(f"{entry.name:<{width}}  {shown}"))
        typer.echo(f"{'':<{width}}    {entry.description}")
    return DONE
