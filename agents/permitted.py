"""Whether whoever started a run may have an agent make a call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..tools.context import RunContext
from ..tools.registry import permission_for


def missing_permission(call: Mapping[str, Any], context: RunContext) -> str | None:
    """Why a call is not for whoever started the run; None if it is, or if there is no such tool: the policy says so."""
    needed = permission_for(call["name"], call["args"])
    if needed is None or needed in context.principal.scopes:
        return None
    return f"whoever started this run lacks the permission {needed}; do without such calls, or say what is missing"
