"""From what became of a request to its row. Pure."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from ...core.types import new_id
from ...store.texts import clean_text
from ..chat import Caller, Outcome
from ..usage import Usage

_ASKED: Final = frozenset({"miss", "bypass"})
_LONGEST: Final = 200
"""Letters of an id or a name that are kept."""
_MOST_RAW: Final = 8_000
"""Bytes of the provider's own usage object; a longer one is not kept."""
_BIGGEST: Final = 2**62


class Entry(NamedTuple):
    """A request as the ledger keeps it until it is written.

    Attributes:
        at: When it was noted, in seconds since 1970.
        model: The model that answered, else what was asked for.
    """

    at: float
    request_id: str
    caller: Caller
    outcome: Outcome
    streamed: bool
    model: str


def row_of(entry: Entry, baseline: Callable[[Usage], int]) -> dict[str, Any]:
    """Make the row; what a client or a provider made up is cut to what both databases take."""
    outcome, caller = entry.outcome, entry.caller
    usage, began = outcome.usage, outcome.began
    ended = outcome.ended if outcome.ended is not None else began
    started = datetime.fromtimestamp(entry.at - max(ended - began, 0.0), UTC)
    return {
        "id": new_id(),
        "request_id": _name(entry.request_id),
        "owner_id": _name(caller.user_id),
        "tenant_id": _name(caller.tenant_id),
        "key_id": _name(caller.key_id),
        "thread_id": _name(caller.thread_id),
        "run_id": _name(caller.run_id),
        "agent": _name(caller.agent),
        "provider": _name(outcome.provider),
        "model": _name(entry.model),
        "prompt_tokens": _count(usage.input_tokens),
        "cached_tokens": _count(usage.cached_tokens),
        "cache_write_tokens": _count(usage.cache_write_tokens),
        "cache_write_1h_tokens": _count(usage.cache_write_1h_tokens),
        "completion_tokens": _count(usage.output_tokens),
        "reasoning_tokens": _count(usage.reasoning_tokens),
        "usage": _raw(outcome.raw_usage),
        "estimated": usage.estimated,
        "cost": _count(outcome.cost),
        "saved": _count(outcome.saved),
        "baseline_cost": _count(baseline(usage)),
        "price_version": _name(outcome.price_version),
        "first_token_ms": _first_token_ms(entry),
        "duration_ms": round(max(ended - began, 0.0) * 1000, 3),
        "tokens_per_second": _speed(entry, ended),
        "attempts": outcome.attempts,
        "cache": outcome.cache,
        "degraded": outcome.degraded or "",
        "error": _name(outcome.error),
        "day": started.strftime("%Y-%m-%d"),
        "started_at": started,
    }


def _first_token_ms(entry: Entry) -> float | None:
    outcome = entry.outcome
    if outcome.first is None or not entry.streamed:
        return None
    return round(max(outcome.first - outcome.began, 0.0) * 1000, 3)


def _speed(entry: Entry, ended: float) -> float | None:
    """Tokens a second of an answer that a model gave: from its first token if it was streamed."""
    outcome = entry.outcome
    begun = outcome.first if entry.streamed and outcome.first is not None else outcome.began
    took, tokens = ended - begun, outcome.usage.output_tokens
    return round(tokens / took, 2) if outcome.cache in _ASKED and took > 0 and tokens > 0 else None


def _name(value: str) -> str:
    return value if value.isascii() and value.isprintable() and len(value) <= _LONGEST else clean_text(value)[:_LONGEST]


def _count(value: int) -> int:
    return min(max(value, 0), _BIGGEST)


def _raw(usage: dict[str, Any]) -> dict[str, Any]:
    try:
        return usage if not usage or len(orjson.dumps(usage)) <= _MOST_RAW else {}
    except TypeError:  # no number or text that JSON knows
        return {}
