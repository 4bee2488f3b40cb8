"""The layer that notes which headers of a request the graphs are told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

Names = tuple[tuple[str, ...], tuple[str, ...]]
_SECRET: Final = frozenset({"authorization", "cookie", "x-api-key", "x-service-key", "x-tenant-id"})
"""Told only where they are named in full."""


class Headed:
    """Leaves the headers with the principal, who makes the runs.

    Args:
        app: The next layer.
        names: Patterns of those that are told, and of those that are not, whatever else is said.
    """

    def __init__(self, app: ASGIApp, *, names: Names) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Note them."""
        principal = scope.get("state", {}).get("principal")
        if principal is not None:
            told = chosen(Headers(scope=scope), self._names)
            scope["state"]["principal"] = replace(principal, headers=told)
        await self._app(scope, receive, send)


def chosen(headers: Mapping[str, str], names: Names) -> dict[str, str]:
    """Choose by patterns; `excludes` win."""
    includes, excludes = ([name.lower() for name in each] for each in names)
    return {
        name: value
        for name, value in headers.items()
        if _matches(name, includes) and not _matches(name, excludes) and (name not in _SECRET or name in includes)
    }


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
