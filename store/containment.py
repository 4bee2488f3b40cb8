"""Does a JSON column contain an object? PostgreSQL's `@>`, and the same on SQLite."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Boolean, literal
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import FunctionElement

from .models.base import Json

SQLITE_FUNCTION: Final = "codelab_json_contains"


class _Contains(FunctionElement[bool]):
    name = "json_contains"
    inherit_cache = True
    type = Boolean()


def contains(column: Any, wanted: Mapping[str, Any]) -> ColumnElement[bool]:
    """Keep rows whose JSON column holds everything in `wanted`, on either database.

    Objects are contained key by key, lists element by element in any order, plain values by equality.
    """
    return _Contains(column, literal(dict(wanted), Json))


@compiles(_Contains, "postgresql")
def _postgresql(element: _Contains, compiler: SQLCompiler, **kw: Any) -> str:
    column, wanted = element.clauses
    return f"({compiler.process(column, **kw)} @> {compiler.process(wanted, **kw)})"


@compiles(_Contains, "sqlite")
def _sqlite(element: _Contains, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{SQLITE_FUNCTION}({compiler.process(element.clauses, **kw)})"


def holds(value: Any, wanted: Any) -> bool:
    """The rule itself, as PostgreSQL has it for two values of the same depth."""
    if isinstance(wanted, Mapping):
        return isinstance(value, Mapping) and all(key in value and holds(value[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        return isinstance(value, list | tuple) and all(any(holds(one, part) for one in value) for part in wanted)
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    return bool(wanted == value)


def holds_text(value: str | None, wanted: str) -> bool:
    """The function that a SQLite connection calls."""
    return value is not None and holds(json.loads(value), json.loads(wanted))
