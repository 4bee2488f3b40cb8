"""The sentence that says which budget has no room, and until when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from ..errors import BudgetExceeded
from .budget_repository import State
from .limits import bounds, dollars
from .slices import Slice

_PERIODS = {"day": "daily budget", "month": "monthly budget", "run": "budget for one run", "total": "budget"}


def refusal(exhausted: Mapping[Slice, State], most: int, now: datetime) -> BudgetExceeded:
    """Say no, in the words of the budget that is strictest."""
    part = min(exhausted, key=lambda each: (each.limit.on_exceeded == "cheaper", each.account))
    state, limit = exhausted[part], part.limit
    span = bounds(limit.period, now)
    ends = span[1] if span is not None else None
    return BudgetExceeded(
        _sentence(part, state, most, ends),
        retry_after=max(1.0, (ends - now).total_seconds()) if ends is not None else None,
        cheaper=limit.on_exceeded == "cheaper",
        budget=limit.id,
        scope=limit.scope,
        period=limit.period,
        limit=limit.amount,
        spent=state.spent + part.spent,
        resets_at=ends.isoformat() if ends is not None else None,
    )


def _sentence(part: Slice, state: State, most: int, ends: datetime | None) -> str:
    limit, spent = part.limit, state.spent + part.spent
    whose = limit.scope if limit.scope == "tenant" else f"{limit.scope} {part.account.subject}"
    pending = f" and {dollars(held)} reserved" if (held := state.reserved - part.spent) > 0 else ""
    until = f"It starts anew at {ends:%Y-%m-%d %H:%M} UTC." if ends is not None else "Have its limit raised to go on."
    return (
        f"The {_PERIODS[limit.period]} of {whose} has no room for this request, which may cost {dollars(most)}: "
        f"{dollars(spent)} of {dollars(limit.amount)} spent{pending}. {until}"
    )
