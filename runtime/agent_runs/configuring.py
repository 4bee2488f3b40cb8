"""How a client configures a graph: `config.configurable` of old, or the context that takes its place. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import ConfigDict, GetPydanticSchema
from typing_extensions import TypedDict

from ...core.errors import BadRequest
from .inputs import is_theirs

BOTH: Final = "Cannot specify both configurable and context; prefer context alone, which takes configurable's place."
_CRON: Final = "cron_id"  # a cron names itself to its runs


class _Shape(TypedDict, total=False):
    """What must be right of a config; graphs may read more of it."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]  # as pydantic documents it

    tags: list[str]
    metadata: dict[str, Any]
    recursion_limit: int
    configurable: dict[str, Any]


Config = Annotated[dict[str, Any], GetPydanticSchema(lambda _kind, handler: handler.generate_schema(_Shape))]
"""A config as sent: a plain dict of that shape."""


def settings_of(config: Mapping[str, Any], context: Mapping[str, Any]) -> dict[str, Any]:
    """What was said, whichever way; where a run goes on stands in `configurable` too, and configures nothing.

    Raises:
        BadRequest: It was said both ways.
    """
    configurable = config.get("configurable") or {}
    said = {name: value for name, value in configurable.items() if is_theirs(name) and name != _CRON}
    if said and context:
        raise BadRequest(BOTH)
    return said or dict(context)
