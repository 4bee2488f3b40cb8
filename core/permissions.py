"""The permissions a route, channel or call can need."""

from __future__ import annotations

from typing import Final

_RESOURCES: Final = ("threads", "runs", "approvals", "assistants", "store", "crons", "workspaces", "api-keys")

ALL: Final[frozenset[str]] = frozenset(
    [f"{resource}:{verb}" for resource in _RESOURCES for verb in ("read", "write")]
    + ["llm:invoke", "llm:admin", "usage:read", "audit:read"]
    + [f"{resource}:admin" for resource in ("users", "clients", "roles")],
)
"""Every permission there is; a route that declares another name fails a test."""
