"""Why a password is refused, in the reader's words."""

from __future__ import annotations

from typing import Final

from fastapi import Request

from ...auth.users.passwords import LEAST
from ...core.errors import InvalidInput
from .render import say

_REASONS: Final = frozenset({"too_short", "too_long", "common", "personal"})


def weakness(request: Request, error: InvalidInput) -> str:
    """Say what is wrong with a password that `check_password` refused."""
    reason = error.code.removeprefix("password_")
    told = reason if reason in _REASONS else "other"
    return say(request, "password.weak", problem=say(request, f"password.{told}", least=LEAST))
