"""What may stand in an audit record: short plain values, and nothing that opens a door."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from ...store.texts import clean_text

REDACTED: Final = "[redacted]"
LONGEST: Final = 500
"""Characters of one value."""
MOST: Final = 50
"""Members of one object or list."""
DEEPEST: Final = 4
_BIGGEST: Final = 2**53
_SECRET_NAME: Final = re.compile(r"password|passwd|secret|token|code|cookie|authorization|assertion", re.IGNORECASE)
_SECRET_VALUE: Final = re.compile(r"\b(?:cl_|sk-cl-|eyJ)[\w.~+/=-]*")


def clean_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """Copy details as plain, bounded JSON; what has a secret's name, or looks like one of our secrets, is replaced."""
    cleaned: dict[str, Any] = _clean(details, 0)
    return cleaned


def clean_value(value: str) -> str:
    """Cut a text, make it storable, and replace what looks like one of our secrets."""
    return clean_text(_SECRET_VALUE.sub(REDACTED, value[:LONGEST]))


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        return _clean_many(value, depth) if depth < DEEPEST else REDACTED
    if value is None or isinstance(value, bool) or (isinstance(value, int) and abs(value) <= _BIGGEST):
        return value
    return clean_value(str(value))


def _clean_many(value: Any, depth: int) -> Any:
    if isinstance(value, Mapping):
        some = list(value.items())[:MOST]
        return {
            clean_value(str(key)): REDACTED if _SECRET_NAME.search(str(key)) else _clean(member, depth + 1)
            for key, member in some
        }
    members = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
    return [_clean(member, depth + 1) for member in members[:MOST]]
