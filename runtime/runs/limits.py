"""What a client may ask of one turn, and what caps it. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Final

from ...core.context import RunSettings
from ...core.errors import InvalidInput
from ...core.settings import AgentsSettings
from ...core.types import ApprovalMode

MODEL_ROLES: Final = frozenset({"strong", "fast"})


def capped(settings: RunSettings, *, agents: Collection[str], limits: AgentsSettings) -> RunSettings:
    """Check a turn's settings and cap its limits.

    Raises:
        InvalidInput: `unknown_agent`, or settings that make no sense.
    """
    for name in ("agent", "approval_mode", "model", "workspace"):
        if not isinstance(getattr(settings, name), str | None):
            raise InvalidInput(f"{name} must be a text")
    if settings.agent is not None and settings.agent not in agents:
        known = ", ".join(sorted(agents))
        raise InvalidInput(f"There is no agent {settings.agent!r}; there are {known}", code="unknown_agent")
    if settings.approval_mode not in set(ApprovalMode):
        raise InvalidInput("approval_mode is one of ask, auto, deny")
    if settings.model is not None and settings.model not in MODEL_ROLES:
        raise InvalidInput("model is a role: strong or fast")
    return replace(
        settings,
        approval_mode=str(settings.approval_mode),
        max_model_calls=_cap("max_model_calls", settings.max_model_calls, limits.max_model_calls),
        max_tool_calls=_cap("max_tool_calls", settings.max_tool_calls, limits.max_tool_calls),
    )


def _cap(name: str, asked: int | None, limit: int) -> int | None:
    if asked is not None and not isinstance(asked, int):
        raise InvalidInput(f"{name} must be a whole number")
    if asked is not None and asked < 1:
        raise InvalidInput(f"{name} must be at least 1")
    return min(asked, limit) if asked is not None else None
