"""Conditions on one of several values, as prepared statements need them: each value is a parameter of its own.

How many there are is rounded up to a power of two and the last one is repeated, so that few statements are compiled.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam


def size_for(values: Sequence[Any]) -> int:
    """How many parameters some values fill; there is at least one value."""
    return 1 << (len(values) - 1).bit_length()


def one_of(column: ColumnElement[Any], name: str, size: int) -> ColumnElement[bool]:
    """The condition; `filled` gives its parameters."""
    return column.in_([bindparam(f"{name}{index}") for index in range(size)])


def filled(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """The parameters of a condition of the size that these values need."""
    return {f"{name}{index}": values[min(index, len(values) - 1)] for index in range(size_for(values))}
