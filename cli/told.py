"""What was told on the command line, as the services want it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ..core.errors import InvalidInput

Options = TypeVar("Options", bound=BaseModel)


def as_told(kind: type[Options], told: Mapping[str, Any]) -> Options:
    """Read options; raises `InvalidInput` with the first thing that is wrong."""
    try:
        return kind(**told)
    except ValidationError as exc:
        first = exc.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InvalidInput(f"{place}: {first['msg']}" if place else first["msg"]) from exc
